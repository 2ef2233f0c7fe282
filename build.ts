/** Bundles the parts that run: one file each, so that a start reads one file and loads only what it uses. */
import { readFileSync } from 'node:fs';
import { type BuildOptions, build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));

const common: BuildOptions = {
  absWorkingDir: import.meta.dirname,
  outdir: 'build/dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // A native module: it finds its binary beside its own package.
  external: ['koffi'],
  // CommonJS dependencies (express, prom-client) call require for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  define: { SCX_SLO_VERSION: JSON.stringify(version) },
  sourcemap: true,
  legalComments: 'linked',
  logLevel: 'info',
};

await build({
  ...common,
  entryPoints: {
    agent: 'agent/main.ts',
    webhook: 'webhook/main.ts',
    cli: 'cli/main.ts',
  },
});

// In pieces: what it examines may not load, and it must live to say so.
await build({
  ...common,
  entryPoints: { doctor: 'agent/doctor/main.ts' },
  splitting: true,
  chunkNames: 'doctor-[hash]',
});

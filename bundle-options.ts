/** How every part is bundled: one file for Node 24, native modules left outside. */
import type { BuildOptions } from 'esbuild';

export const BUNDLE_OPTIONS: BuildOptions = {
  absWorkingDir: import.meta.dirname,
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
};

/** Bundles the parts that run: one file each, so that a start reads one file and loads only what it uses. */
import { globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { BUNDLE_OPTIONS } from './bundle-options.ts';
import { buildClient } from './client/build.ts';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));

/** What reads kubeconfigs stays a file of its own: a node's agent never loads it. */
const KUBECONFIG_BUNDLE = 'kubeconfig';
const kubeconfigApart: Plugin = {
  name: 'kubeconfig-apart',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/client-node-credentials\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `./${KUBECONFIG_BUNDLE}.mjs`, external: true } : undefined,
    );
  },
};

/** node:http without its WebSocket, and with it undici: see agent/lean-http.ts. For code that imports it as usual. */
const leanHttp: Plugin = {
  name: 'lean-http',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:http$/ }, () => ({ path: 'http', namespace: 'lean' }));
    onLoad({ filter: /^http$/, namespace: 'lean' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
    }));
  },
};

const common: BuildOptions = {
  ...BUNDLE_OPTIONS,
  outdir: 'build/dist',
  define: { SCX_SLO_VERSION: JSON.stringify(version) },
  sourcemap: true,
  legalComments: 'linked',
  logLevel: 'info',
};

await build({
  ...common,
  entryPoints: {
    agent: 'agent/main.ts',
    signal: 'agent/signal/main.ts',
    webhook: 'webhook/main.ts',
    'webhook-certificate': 'webhook/certificate/main.ts',
    cli: 'cli/main.ts',
    [KUBECONFIG_BUNDLE]: 'kube/client-node-credentials.ts',
  },
  plugins: [kubeconfigApart],
});

// In pieces: what it examines may not load, and it must live to say so.
const doctor = await build({
  ...common,
  entryPoints: { doctor: 'agent/doctor/main.ts' },
  splitting: true,
  chunkNames: 'doctor-[hash]',
  metafile: true,
});
// Pieces of earlier builds have other names: nobody loads them, but an image would hold them.
for (const file of globSync('build/dist/doctor-*', { cwd: import.meta.dirname })) {
  if (!Object.hasOwn(doctor.metafile.outputs, file)) rmSync(join(import.meta.dirname, file));
}

await build({ ...common, entryPoints: { sidecar: 'client/sidecar/main.ts' }, plugins: [leanHttp] });

// What applications install.
await buildClient('build/client', version);

/** What the guest runs: the node side of the bench in one file. */
import { build } from 'esbuild';

export const BUNDLE = 'build/vm/bench/node.mjs';

export const bundleNodeSide = async (project: string): Promise<void> => {
  await build({
    absWorkingDir: project,
    entryPoints: { node: 'test/bench/node/main.ts' },
    outdir: 'build/vm/bench',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // A native module: it finds its binary beside its own package.
    external: ['koffi'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
};

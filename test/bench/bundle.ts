/** What the guest runs: the node side of the bench in one file. */
import { build } from 'esbuild';
import { BUNDLE_OPTIONS } from '../../bundle-options.ts';

export const BUNDLE = 'build/vm/bench/node.mjs';

export const bundleNodeSide = async (): Promise<void> => {
  await build({
    ...BUNDLE_OPTIONS,
    entryPoints: { node: 'test/bench/node/main.ts' },
    outdir: 'build/vm/bench',
    logLevel: 'warning',
  });
};

// Used by test/kube/run.ts, which makes sure that there is a control plane.
import { defineConfig } from 'vitest/config';
import JunitReporter from '../junit-reporter.ts';
import { ByName } from '../vitest-by-name.ts';

/** `kube`: suites against a control plane; `cluster`: with a real node. */
const suite = process.env.SCX_SLO_KUBE_SUITE ?? 'kube';

export default defineConfig({
  test: {
    include: [`test/kube/${suite === 'kube' ? 'suites' : suite}/**/*.test.ts`],
    reporters: ['verbose', new JunitReporter({ outputFile: `build/test/${suite}.xml`, suite })],
    // One process for all of them: it holds the control plane, which takes 10 s to start and is restarted by some.
    pool: 'forks',
    fileParallelism: false,
    isolate: false,
    sequence: { sequencer: ByName },
    testTimeout: 60_000,
    hookTimeout: 240_000,
  },
});

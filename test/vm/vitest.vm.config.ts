// Used inside a booted virtual machine only; test/vm/run.ts starts it there.
import { defineConfig } from 'vitest/config';
import JunitReporter from '../junit-reporter.ts';
import { ByName } from '../vitest-by-name.ts';

/** `suites`, or `soak` for the long ones. */
const folder = process.env.SCX_SLO_VM_FOLDER ?? 'suites';

export default defineConfig({
  // node_modules is read-only in the guest.
  cacheDir: '/tmp/vite',
  test: {
    include: [`test/vm/${folder}/**/*.test.ts`],
    reporters: ['verbose', new JunitReporter({ outputFile: '/out/junit.xml', suite: 'vm' })],
    // The machine has one scheduler to attach to: one file after another, in one process of their own. A second
    // process would cost seconds of emulated start-up for each file.
    pool: 'forks',
    fileParallelism: false,
    isolate: false,
    sequence: { sequencer: ByName },
    testTimeout: folder === 'soak' ? 600_000 : 120_000,
    hookTimeout: 120_000,
  },
});

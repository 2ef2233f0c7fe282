import { defineConfig } from 'vitest/config';
import JunitReporter from './test/junit-reporter.ts';

// The suites in test/vm/suites and test/vm/soak need a booted kernel of their own: test/vm/run.ts runs them inside.
export default defineConfig({
  test: {
    include: ['{slo,kube,webhook,agent,operator,client,cli,test}/**/*.test.ts'],
    exclude: [
      'test/vm/suites/**',
      'test/vm/soak/**',
      'test/proxies/**',
      'test/recipes/**',
      'node_modules/**',
      'build/**',
    ],
    reporters: ['default', new JunitReporter({ outputFile: 'build/test/unit.xml', suite: 'unit' })],
    testTimeout: 20_000,
  },
});

import { defineConfig } from 'vitest/config';
import JunitReporter from './test/junit-reporter.ts';

// The suites in test/vm need a booted kernel of their own, those in test/kube an API server, those in test/proxies and
// test/recipes other programs: each has a target of its own.
export default defineConfig({
  test: {
    include: ['{slo,kube,webhook,agent,operator,client,cli,test}/**/*.test.ts'],
    exclude: [
      'test/vm/suites/**',
      'test/vm/soak/**',
      'test/vm/image/**',
      'test/kube/{suites,cluster}/**',
      'test/proxies/**',
      'test/recipes/**',
      'node_modules/**',
      'build/**',
    ],
    reporters: ['default', new JunitReporter({ outputFile: 'build/test/unit.xml', suite: 'unit' })],
    testTimeout: 20_000,
  },
});

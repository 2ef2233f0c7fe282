import { defineConfig } from 'vitest/config';
import JunitReporter from '../junit-reporter.ts';

// `make test-proxies`: real proxies, started by the tests, from the packages that debian-programs.sh unpacks.
export default defineConfig({
  test: {
    include: ['test/{proxies,recipes}/**/*.test.ts'],
    reporters: ['default', new JunitReporter({ outputFile: 'build/test/proxies.xml', suite: 'proxies' })],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // They mostly wait for levels to decay.
    maxWorkers: 3,
  },
});

// What is expected of another kernel is no test of this one: not registered, rather than skipped.
import { describe, test } from 'vitest';

export const describeIf =
  (applies: boolean) =>
  (name: string, suite: () => void): void => {
    if (applies) describe(name, suite);
  };

export const testIf =
  (applies: boolean) =>
  (name: string, body: () => Promise<void>): void => {
    if (applies) test(name, body);
  };

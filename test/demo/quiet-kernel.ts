/**
 * Turns transparent huge pages off for the run and back on after it: khugepaged rebuilds a fresh process's memory
 * for up to 100 ms while it holds that process's memory lock (seen), which no CPU scheduler can do anything about.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = '/sys/kernel/mm/transparent_hugepage/enabled';

/** Returns how to restore what was set. */
export const stopHugePages = (): (() => void) => {
  try {
    // `always [madvise] never`
    const before = /\[(\w+)\]/.exec(readFileSync(FILE, 'utf8'))?.[1];
    writeFileSync(FILE, 'never');
    return () => writeFileSync(FILE, before ?? 'madvise');
  } catch {
    // A kernel without huge pages needs nothing.
    return () => undefined;
  }
};

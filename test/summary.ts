// node test/summary.ts [DIR] : what the JUnit files in DIR (build/test) say. Ends with one line of counts; exits
// non-zero when a test failed, a file is not readable, or no test passed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromJunit, type TestOutcome } from './junit.ts';

export interface Summary {
  readonly lines: readonly string[];
  readonly ok: boolean;
}

/** `files`: name and content of each JUnit file. Pure. */
export function summarise(files: readonly { readonly name: string; readonly xml: string }[]): Summary {
  const lines: string[] = [];
  const all: TestOutcome[] = [];
  for (const { name, xml } of files) {
    const outcomes = fromJunit(xml) ?? [unreadable(name)];
    all.push(...outcomes);
    for (const outcome of outcomes) if (outcome.state !== 'passed') lines.push(line(name, outcome));
  }
  const count = (state: TestOutcome['state']): number =>
    all.filter((outcome) => outcome.state === state).length;
  lines.push(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  return { lines, ok: count('failed') === 0 && count('passed') > 0 };
}

function unreadable(name: string): TestOutcome {
  return { group: name, name: 'results', seconds: 0, state: 'failed', detail: 'not a whole JUnit file' };
}

function line(file: string, outcome: TestOutcome): string {
  const reason = (outcome.detail.split('\n')[0] ?? '').trim() || 'no reason given';
  return `${outcome.state}: [${file.replace(/\.xml$/, '')}] ${outcome.group}: ${outcome.name}: ${reason}`;
}

if (import.meta.main) {
  const dir = process.argv[2] ?? 'build/test';
  const names = readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.xml'))
    .map((entry) => entry.name)
    .sort();
  const { lines, ok } = summarise(
    names.map((name) => ({ name, xml: readFileSync(join(dir, name), 'utf8') })),
  );
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = ok ? 0 : 1;
}

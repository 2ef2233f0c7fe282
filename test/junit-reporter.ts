// vitest reporter that writes JUnit with the reason of each skip, and after every file: what is known survives the
// loss of the machine.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';
import { type TestOutcome, toJunit } from './junit.ts';

export default class JunitReporter implements Reporter {
  readonly #file: string;
  readonly #suite: string;
  readonly #ended = new Map<string, TestOutcome[]>();

  constructor(options: { readonly outputFile: string; readonly suite?: string }) {
    this.#file = options.outputFile;
    this.#suite = options.suite ?? 'vitest';
  }

  onTestModuleEnd(module: TestModule): void {
    this.#ended.set(module.moduleId, moduleOutcomes(module));
    this.#write([]);
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly { message: string; stack?: string }[],
  ): void {
    for (const module of modules) this.#ended.set(module.moduleId, moduleOutcomes(module));
    this.#write(unhandled.map((error) => failed('vitest', 'unhandled error', [error])));
  }

  #write(more: readonly TestOutcome[]): void {
    mkdirSync(dirname(this.#file), { recursive: true });
    const fd = openSync(`${this.#file}.new`, 'w');
    writeSync(fd, toJunit(this.#suite, [...[...this.#ended.values()].flat(), ...more]));
    fsyncSync(fd);
    closeSync(fd);
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function moduleOutcomes(module: TestModule): TestOutcome[] {
  const group = module.relativeModuleId;
  const outcomes = [...module.children.allTests()].map((test) => testOutcome(group, test));
  // An error outside the tests: the file does not load, or a hook of it or of one of its groups failed.
  for (const place of [module, ...module.children.allSuites()]) {
    if (place.errors().length > 0)
      outcomes.push(failed(group, `${placeName(place)} (load or hook)`, place.errors()));
  }
  return outcomes;
}

function placeName(place: TestModule | TestSuite): string {
  return place.type === 'suite' ? place.fullName : place.relativeModuleId;
}

function testOutcome(group: string, test: TestCase): TestOutcome {
  const result = test.result();
  const seconds = Math.round(test.diagnostic()?.duration ?? 0) / 1000;
  if (result.state === 'failed') return { ...failed(group, test.fullName, result.errors), seconds };
  if (result.state === 'passed') return { group, name: test.fullName, seconds, state: 'passed', detail: '' };
  if (result.state === 'pending')
    return failed(group, test.fullName, [{ message: 'it did not come to an end' }]);
  return { group, name: test.fullName, seconds, state: 'skipped', detail: result.note ?? skipReason(test) };
}

/** Without a note of its own, a test is skipped by its group's condition, and the group's name says which. */
function skipReason(test: TestCase): string {
  const { parent } = test;
  if (test.options.mode === 'todo') return 'to do';
  if (parent.type === 'module') return 'its condition does not hold here';
  return parent.errors().length > 0 ? 'a hook of its group failed' : `only ${parent.fullName}`;
}

function failed(
  group: string,
  name: string,
  errors: readonly { readonly message: string; readonly stack?: string | undefined }[],
): TestOutcome {
  const detail = errors.map((error) => error.stack ?? error.message).join('\n');
  return { group, name, seconds: 0, state: 'failed', detail };
}

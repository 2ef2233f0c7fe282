// Runs test files in the order of their names.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

export class ByName extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const byName = (a: TestSpecification, b: TestSpecification) => (a.moduleId < b.moduleId ? -1 : 1);
    return Promise.resolve(files.toSorted(byName));
  }
}

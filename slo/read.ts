import type { SloProblem } from './slo.ts';

/** One value of a map by its grammar; a bad one becomes a problem and undefined. */
export function read<T extends number | string | boolean>(
  entries: ReadonlyMap<string, unknown>,
  key: string,
  parse: (key: string, value: unknown) => T | SloProblem,
  problems: SloProblem[],
): T | undefined {
  if (!entries.has(key)) {
    return undefined;
  }
  const parsed = parse(key, entries.get(key));
  if (typeof parsed === 'object') {
    problems.push(parsed);
    return undefined;
  }
  return parsed;
}

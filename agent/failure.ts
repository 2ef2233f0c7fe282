/** An expected failure, as a value: what failed, why, and what the operator does next. */
export interface Failure {
  /** Stable identifier, `SLO_E_...`. */
  code: string;
  what: string;
  why: string;
  next: string;
}

export const failure = (code: string, what: string, why: string, next: string): Failure => ({
  code,
  what,
  why,
  next,
});

export const isFailure = (value: unknown): value is Failure =>
  typeof value === 'object' &&
  value !== null &&
  'code' in value &&
  'what' in value &&
  'why' in value &&
  'next' in value;

export const failureText = (f: Failure): string => `${f.code}: ${f.what}: ${f.why}. Next: ${f.next}`;

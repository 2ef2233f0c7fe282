/** One line of the doctor's answer. */

export type CheckStatus = 'ok' | 'warn' | 'fail';

export interface Check {
  /** Stable name, for scripts. */
  id: string;
  status: CheckStatus;
  text: string;
  /** What to do about it; ok needs nothing. */
  next?: string;
}

export const ok = (id: string, text: string): Check => ({ id, status: 'ok', text });
export const warn = (id: string, text: string, next: string): Check => ({ id, status: 'warn', text, next });
export const fail = (id: string, text: string, next: string): Check => ({ id, status: 'fail', text, next });

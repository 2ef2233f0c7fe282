/** POST /v1/report: what a pod says of its own queue. Pure. */

/** What is used of a report. */
export interface QueueReport {
  queueWaitMs: number;
}

export const MAX_REPORT_BYTES = 1_024;

/** A queue wait beyond ten minutes is no measurement. */
const MAX_QUEUE_WAIT_MS = 600_000;
const COUNTS = ['inflight', 'accepted', 'rejected'] as const;

const isAmount = (value: unknown, most: number): value is number =>
  typeof value === 'number' && value >= 0 && value <= most;

/** @returns undefined for what is no report: no JSON, a number that is missing, negative, huge or not one. */
export const parseReport = (text: string): QueueReport | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Partial<Record<string, unknown>> = { ...value };
  const queueWaitMs = fields.queue_p95_ms;
  if (!isAmount(queueWaitMs, MAX_QUEUE_WAIT_MS)) return undefined;
  const countsFit = COUNTS.every(
    (name) => fields[name] === undefined || isAmount(fields[name], Number.MAX_SAFE_INTEGER),
  );
  return countsFit ? { queueWaitMs } : undefined;
};

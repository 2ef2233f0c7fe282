/**
 * The record that the webhook leaves on a pod, `effective.scx-slo.io/*`: for people and tools. The agent never
 * takes an SLO from it, it only says where the record and its own answer differ.
 */
import {
  EFFECTIVE_BUDGET_KEY,
  EFFECTIVE_CLAMPED_KEY,
  EFFECTIVE_CONTAINER_BUDGET_PREFIX,
  EFFECTIVE_CONTAINER_CLAMPED_PREFIX,
  EFFECTIVE_CONTAINER_IMPORTANCE_PREFIX,
  EFFECTIVE_IMPORTANCE_KEY,
  EFFECTIVE_SOURCE_KEY,
  isEffectiveKey,
} from './annotations.ts';
import type { Clamp, Resolution } from './slo.ts';

/** Annotation key to value; empty where nothing has an SLO. */
export function recordOf(resolution: Resolution): Map<string, string> {
  const record = new Map<string, string>();
  const { pod } = resolution;
  if (pod !== undefined) {
    record.set(EFFECTIVE_BUDGET_KEY, String(pod.budgetMs));
    record.set(EFFECTIVE_IMPORTANCE_KEY, String(pod.importance));
    record.set(EFFECTIVE_SOURCE_KEY, pod.source);
    setClamped(record, EFFECTIVE_CLAMPED_KEY, pod.clamped);
  }
  for (const [name, slo] of resolution.containers) {
    record.set(EFFECTIVE_CONTAINER_BUDGET_PREFIX + name, String(slo.budgetMs));
    record.set(EFFECTIVE_CONTAINER_IMPORTANCE_PREFIX + name, String(slo.importance));
    setClamped(record, EFFECTIVE_CONTAINER_CLAMPED_PREFIX + name, slo.clamped);
  }
  return record;
}

function setClamped(record: Map<string, string>, key: string, clamped: readonly Clamp[]): void {
  if (clamped.length > 0) {
    record.set(key, clamped.map(clampText).join(','));
  }
}

/** For example `importance:95>90`. */
export function clampText(clamp: Clamp): string {
  return `${clamp.field}:${clamp.from}>${clamp.to}`;
}

export interface RecordDifference {
  key: string;
  /** What the pod carries; undefined: nothing. */
  recorded: unknown;
  /** What holds; undefined: the key should not be there. */
  resolved: string | undefined;
}

/** Where the record that a pod carries is not the one of `resolution`. Keys of the record first, then missing ones. */
export function recordDifferences(
  annotations: Readonly<Record<string, unknown>> | null | undefined,
  resolution: Resolution,
): RecordDifference[] {
  const wanted = recordOf(resolution);
  const carried = new Map(Object.entries(annotations ?? {}).filter(([key]) => isEffectiveKey(key)));
  const differences: RecordDifference[] = [];
  for (const [key, recorded] of carried) {
    const resolved = wanted.get(key);
    if (recorded !== resolved) {
      differences.push({ key, recorded, resolved });
    }
  }
  for (const [key, resolved] of wanted) {
    if (!carried.has(key)) {
      differences.push({ key, recorded: undefined, resolved });
    }
  }
  return differences;
}

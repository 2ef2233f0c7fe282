/** The operations that make a pod's record (`effective.*`) what it should be, and touch nothing else. */
import { isEffectiveKey } from '../slo/annotations.ts';
import { type PatchOp, pointer } from './patch.ts';
import type { PodView } from './pod-view.ts';

/** More changed keys than any honest pod has. */
const SINGLE_OPS_MAX = 100;

export function recordOps(pod: PodView, record: ReadonlyMap<string, string>): PatchOp[] {
  const at = (key: string): string => pointer('metadata', 'annotations', key);
  const present = new Map(pod.annotations === 'absent' ? [] : Object.entries(pod.annotations));
  const stale = [...present.keys()].filter((key) => isEffectiveKey(key) && !record.has(key));
  const wrong = [...record].filter(([key, value]) => present.get(key) !== value);
  if (stale.length + wrong.length > SINGLE_OPS_MAX) {
    return [replaceAll(pod, present, stale, record)];
  }
  return [
    ...(pod.annotations === 'absent' && wrong.length > 0
      ? [{ op: 'add', path: pointer('metadata', 'annotations'), value: {} } as const]
      : []),
    ...stale.map((key) => ({ op: 'remove', path: at(key) }) as const),
    ...wrong.map(
      ([key, value]) => ({ op: present.has(key) ? 'replace' : 'add', path: at(key), value }) as const,
    ),
  ];
}

/** One operation for a hostile number of keys: whoever applies a patch copies the map once an operation. */
function replaceAll(
  pod: PodView,
  present: ReadonlyMap<string, unknown>,
  stale: readonly string[],
  record: ReadonlyMap<string, string>,
): PatchOp {
  const merged = new Map([...present, ...record]);
  for (const key of stale) {
    merged.delete(key);
  }
  const op = pod.annotations === 'absent' ? 'add' : 'replace';
  return { op, path: pointer('metadata', 'annotations'), value: Object.fromEntries(merged) };
}

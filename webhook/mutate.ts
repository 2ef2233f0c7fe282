/**
 * The decision on one admission request. Pure, total and idempotent: the answer to its own output is no change.
 *
 * The record (`effective.*`) is ours alone: what a user put there is overwritten or removed, on CREATE and UPDATE.
 * An UPDATE changes metadata only, because nearly all of a pod's spec is immutable.
 */
import {
  INJECT_KEY,
  isEffectiveKey,
  MIRROR_KEY,
  WEBHOOK_LABEL,
  WEBHOOK_LABEL_DISABLED,
} from '../slo/annotations.ts';
import { recordOf } from '../slo/record.ts';
import { resolve } from '../slo/resolve.ts';
import type { AdmissionRequest } from './admission-review.ts';
import { type PatchOp, pointer } from './patch.ts';
import { type ContainerView, type PodView, viewPod } from './pod-view.ts';
import { warningsOf } from './warnings.ts';

export const ENDPOINT_ENV = 'SCX_SLO_ENDPOINT';
export const ENDPOINT_URL = 'http://scx-slo-signal.scx-slo-system:7080';

/** More changed keys than any honest pod has. */
const SINGLE_OPS_MAX = 100;
/** No node runs a pod of more; beyond it a patch would only cost time. */
const INJECTED_CONTAINERS_MAX = 200;

export type Decision = 'patched' | 'unchanged' | 'skipped';

export interface Mutation {
  decision: Decision;
  ops: PatchOp[];
  /** For the person who applied the pod. */
  warnings: string[];
}

const SKIPPED: Mutation = { decision: 'skipped', ops: [], warnings: [] };

export function mutate(request: AdmissionRequest): Mutation {
  const pod = isPodWrite(request) ? viewPod(request.object) : undefined;
  if (pod === undefined || isLeftAlone(pod)) {
    return SKIPPED;
  }
  const annotations = pod.annotations === 'absent' ? {} : pod.annotations;
  const resolution = resolve({ annotations, containerNames: pod.containerNames });
  const ops = [
    ...recordOps(pod, recordOf(resolution)),
    ...(request.operation === 'CREATE' && annotations[INJECT_KEY] === 'endpoint'
      ? pod.containers.slice(0, INJECTED_CONTAINERS_MAX).flatMap(endpointOps)
      : []),
  ];
  return {
    decision: ops.length > 0 ? 'patched' : 'unchanged',
    ops,
    warnings: warningsOf(resolution, annotations[INJECT_KEY]),
  };
}

function isPodWrite(request: AdmissionRequest): boolean {
  const { kind, operation, subResource } = request;
  return (
    kind.group === '' &&
    kind.version === 'v1' &&
    kind.kind === 'Pod' &&
    (operation === 'CREATE' || operation === 'UPDATE') &&
    !subResource
  );
}

/** A mirror pod only shows what runs from a file: a change to it would change nothing but the picture. */
function isLeftAlone(pod: PodView): boolean {
  return (
    (pod.annotations !== 'absent' && Object.hasOwn(pod.annotations, MIRROR_KEY)) ||
    pod.labels[WEBHOOK_LABEL] === WEBHOOK_LABEL_DISABLED
  );
}

function recordOps(pod: PodView, record: ReadonlyMap<string, string>): PatchOp[] {
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

function endpointOps(container: ContainerView): PatchOp[] {
  const variable = { name: ENDPOINT_ENV, value: ENDPOINT_URL };
  const env = pointer('spec', 'containers', container.index, 'env');
  if (container.env === 'absent') {
    return [{ op: 'add', path: env, value: [variable] }];
  }
  // A value that the user set stays: it may point at a proxy of theirs.
  return container.env.includes(ENDPOINT_ENV) ? [] : [{ op: 'add', path: `${env}/-`, value: variable }];
}

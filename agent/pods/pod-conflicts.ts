/** Two pods that claim one cgroup: which of them is meant cannot be known here, so neither gets it. */
import { type PodTarget, podReference, type SourceError } from './target.ts';

/** A pod, and where it is written. */
export interface PlacedPod extends Pick<SourceError, 'file' | 'line' | 'column'> {
  target: PodTarget;
}

export function settleConflicts<T extends PlacedPod>(
  pods: readonly T[],
): {
  pods: T[];
  errors: SourceError[];
} {
  if (areDistinct(pods)) return { pods: [...pods], errors: [] };
  const errors: SourceError[] = [];
  const report = ({ target, file, line, column }: PlacedPod, message: string): void => {
    errors.push({
      code: 'SLO_E_CONFLICT',
      pod: podReference(target),
      file,
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
      message,
    });
  };
  const byUid = groupBy(pods, (pod) => pod.target.uid);
  const honest = pods.map((pod) => {
    const { uid, cgroupUid } = pod.target;
    if (cgroupUid === uid || !byUid.has(claim(cgroupUid))) {
      return pod;
    }
    report(
      pod,
      `${nameOf(pod)} claims, as a static pod's hash, the UID of another pod; the claim is ignored`,
    );
    return { ...pod, target: { ...pod.target, cgroupUid: uid } };
  });
  const refused = new Set<T>();
  for (const key of ['uid', 'cgroupUid'] as const) {
    for (const group of groupBy(honest, (pod) => pod.target[key]).values()) {
      for (const pod of group.length > 1 ? group.filter((member) => !refused.has(member)) : []) {
        refused.add(pod);
        const others = group.filter((other) => other !== pod).map(placeOf);
        const shown = others.length > 3 ? [...others.slice(0, 3), `${others.length - 3} more`] : others;
        report(
          pod,
          `${nameOf(pod)} has the UID ${pod.target[key]} of ${shown.join(' and ')}; neither is used`,
        );
      }
    }
  }
  return { pods: honest.filter((pod) => !refused.has(pod)), errors };
}

/** The usual case, cheaply: no UID and no hash is there twice. */
function areDistinct(pods: readonly PlacedPod[]): boolean {
  const seen = new Set<string>();
  let claims = 0;
  for (const { target } of pods) {
    seen.add(claim(target.uid));
    claims += 1;
    if (target.cgroupUid === target.uid) continue;
    seen.add(claim(target.cgroupUid));
    claims += 1;
  }
  return seen.size === claims;
}

/** With the systemd driver a cgroup's name has `_` for each `-`, so these two are one claim. */
const claim = (uid: string): string => (uid.includes('_') ? uid.replaceAll('_', '-') : uid);

function groupBy<T>(pods: readonly T[], uidOf: (pod: T) => string): Map<string, T[]> {
  return Map.groupBy(pods, (pod) => claim(uidOf(pod)));
}

const nameOf = ({ target }: PlacedPod): string => `pod ${target.namespace}/${target.name}`;

const placeOf = (pod: PlacedPod): string =>
  `${nameOf(pod)} (${pod.line === undefined ? pod.file : `${pod.file}:${pod.line}`})`;

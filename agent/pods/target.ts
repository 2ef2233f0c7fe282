/**
 * A target is what a pod source hands to the plan: an SLO, or nothing, for one pod, one container or one
 * cgroup path. Sources: api-source.ts (--kube), manifest-source.ts (--pods-dir), config-source.ts (--config).
 */
import type { ReflectorState } from '../../kube/reflector.ts';
import type { Slo, SloProblem } from '../../slo/slo.ts';

export interface PodContainer {
  name: string;
  /** Without the `containerd://` prefix; undefined until the runtime reported it. */
  id?: string;
  slo?: Slo;
}

export interface PodTarget {
  kind: 'pod';
  /** metadata.uid. */
  uid: string;
  /** The id in the cgroup's name: config.hash for static pods, else the uid. */
  cgroupUid: string;
  namespace: string;
  name: string;
  /** undefined: the pod has no SLO, it is accounted for only. */
  slo: Slo | undefined;
  containers: PodContainer[];
  /** status.podIPs, IPv4-mapped IPv6 normalised; empty for hostNetwork. */
  podIps: string[];
  cpuRequestMilli: number;
  cpuLimitMilli?: number;
  /** Its namespace lets reports of its pods shed a little of others. */
  trustsReports?: boolean;
  problems: SloProblem[];
}

/** A rule of the standalone config file. */
export interface PathTarget {
  kind: 'path';
  /** Cgroup path from the hierarchy's root, starting with `/`. */
  path: string;
  slo: Slo;
  line: number;
}

export type Target = PodTarget | PathTarget;

export interface PodReference {
  namespace: string;
  name: string;
  /** metadata.uid. */
  uid: string;
}

export const podReference = ({ namespace, name, uid }: PodReference): PodReference => ({
  namespace,
  name,
  uid,
});

export interface SourceError {
  code: string;
  /** Whose fault it is, where that is known. */
  pod?: PodReference;
  file: string;
  line?: number;
  column?: number;
  message: string;
}

/** The whole truth of a source at one moment; a source hands out a new one on each change. */
export interface TargetSnapshot {
  targets: Target[];
  errors: SourceError[];
  /** The pods were not listed yet: what is missing says nothing. */
  isPartial?: boolean;
  /** caps.scx-slo.io/max-reservation-percent by namespace. */
  reservationCaps?: ReadonlyMap<string, number>;
}

/** How a source that watches something far away fares. */
export interface SourceState {
  /** Why the snapshot may be old; undefined: it is not. */
  problem: string | undefined;
  /** By resource. */
  reflectors: Readonly<Record<string, ReflectorState>>;
}

export interface TargetSource {
  /** Resolves after the first snapshot; later ones come when the source changes. */
  start(onSnapshot: (snapshot: TargetSnapshot) => void): Promise<void>;
  stop(): void;
  /** Only of sources whose snapshot can be old. */
  state?(): SourceState;
}

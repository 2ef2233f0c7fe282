/**
 * The decision on one admission request. Pure, total and idempotent: the answer to its own output is no change.
 *
 * The record (`effective.*`) is ours alone: what a user put there is overwritten or removed, on CREATE and UPDATE.
 * An UPDATE changes metadata only, because nearly all of a pod's spec is immutable.
 */
import {
  APP_PORT_KEY,
  INJECT_KEY,
  MIRROR_KEY,
  WEBHOOK_LABEL,
  WEBHOOK_LABEL_DISABLED,
} from '../slo/annotations.ts';
import { type Injection, parseAppPort, parseInject } from '../slo/grammar.ts';
import { recordOf } from '../slo/record.ts';
import { resolve } from '../slo/resolve.ts';
import type { AdmissionRequest } from './admission-review.ts';
import { ENDPOINT_URL, endpointOps } from './endpoint.ts';
import { type NamespaceFacts, type NamespaceView, NO_NAMESPACES } from './namespace-view.ts';
import type { PatchOp } from './patch.ts';
import { type PodView, viewPod } from './pod-view.ts';
import { recordOps } from './record-ops.ts';
import { type SidecarPolicy, sidecarObstacle, sidecarOps } from './sidecar.ts';
import { warningsOf } from './warnings.ts';

export interface AdmissionPolicy {
  namespaces: NamespaceView;
  /** Left alone whatever the API server sends: the cluster's own and ours. */
  excludedNamespaces: ReadonlySet<string>;
  /** Value of SCX_SLO_ENDPOINT. */
  endpointUrl: string;
  /** undefined: none is configured, and whoever asks for one is told. */
  sidecar: SidecarPolicy | undefined;
}

export const OWN_NAMESPACE = 'scx-slo-system';

/** The webhook must not stand in the way of what it runs on itself. */
export const EXCLUDED_NAMESPACES: readonly string[] = [
  'kube-system',
  'kube-public',
  'kube-node-lease',
  OWN_NAMESPACE,
];

export const DEFAULT_POLICY: AdmissionPolicy = {
  namespaces: NO_NAMESPACES,
  excludedNamespaces: new Set(EXCLUDED_NAMESPACES),
  endpointUrl: ENDPOINT_URL,
  sidecar: undefined,
};

export type Decision = 'patched' | 'unchanged' | 'skipped';

export interface Mutation {
  decision: Decision;
  ops: PatchOp[];
  /** For the person who applied the pod. */
  warnings: string[];
}

const SKIPPED: Mutation = { decision: 'skipped', ops: [], warnings: [] };

export function mutate(request: AdmissionRequest, policy: AdmissionPolicy = DEFAULT_POLICY): Mutation {
  const namespace = request.namespace ?? '';
  const pod =
    isPodWrite(request) && !policy.excludedNamespaces.has(namespace) ? viewPod(request.object) : undefined;
  const facts = policy.namespaces.get(namespace);
  if (pod === undefined || isLeftAlone(pod, facts)) {
    return SKIPPED;
  }
  const state = policy.namespaces.state();
  const resolution = resolve({
    annotations: pod.annotations === 'absent' ? {} : pod.annotations,
    containerNames: pod.containerNames,
    namespaceAnnotations: facts?.annotations,
    namespaceIsStale: state === 'stale',
  });
  const injection = request.operation === 'CREATE' ? injectionOps(pod, facts, policy) : NO_INJECTION;
  const ops = [...recordOps(pod, recordOf(resolution)), ...injection.ops];
  return {
    decision: ops.length > 0 ? 'patched' : 'unchanged',
    ops,
    warnings: warningsOf(resolution, {
      obstacle: injection.obstacle,
      capsUnknown: state === 'stale' || (state !== 'off' && facts === undefined),
    }),
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
function isLeftAlone(pod: PodView, namespace: NamespaceFacts | undefined): boolean {
  return (
    (pod.annotations !== 'absent' && Object.hasOwn(pod.annotations, MIRROR_KEY)) ||
    pod.labels[WEBHOOK_LABEL] === WEBHOOK_LABEL_DISABLED ||
    namespace?.labels[WEBHOOK_LABEL] === WEBHOOK_LABEL_DISABLED
  );
}

interface InjectionResult {
  ops: PatchOp[];
  /** Why the sidecar that was asked for is not there. */
  obstacle?: string | undefined;
}

const NO_INJECTION: InjectionResult = { ops: [] };

/** OpenShift's range of user ids for the namespace; a pod that asks for another is refused. */
export const UID_RANGE_KEY = 'openshift.io/sa.scc.uid-range';

function injectionOps(
  pod: PodView,
  namespace: NamespaceFacts | undefined,
  policy: AdmissionPolicy,
): InjectionResult {
  const injection = wordOf<Injection>(pod, INJECT_KEY, parseInject);
  if (injection === undefined) {
    return NO_INJECTION;
  }
  const endpoint = endpointOps(pod, policy.endpointUrl);
  const appPort = wordOf<number>(pod, APP_PORT_KEY, parseAppPort);
  // A missing port is a problem that resolve() reports.
  if (injection === 'endpoint' || appPort === undefined) {
    return { ops: endpoint };
  }
  const obstacle = sidecarObstacle(pod, policy.sidecar, appPort);
  if (obstacle !== undefined || policy.sidecar === undefined) {
    return { ops: endpoint, obstacle };
  }
  const assignsUids = namespace !== undefined && Object.hasOwn(namespace.annotations, UID_RANGE_KEY);
  return {
    ops: [...endpoint, ...sidecarOps(pod, policy.sidecar, appPort, policy.endpointUrl, assignsUids)],
  };
}

/** A good value of the pod's own annotations. */
function wordOf<T extends string | number>(
  pod: PodView,
  key: string,
  parse: (key: string, value: unknown) => T | object,
): T | undefined {
  if (pod.annotations === 'absent' || !Object.hasOwn(pod.annotations, key)) {
    return undefined;
  }
  const parsed = parse(key, pod.annotations[key]);
  return typeof parsed === 'object' ? undefined : parsed;
}

/**
 * The shed sidecar that `scx-slo.io/inject: "sidecar"` asks for, as docs/sidecar.md describes it: it stands in front of
 * the application's port and answers 429 while the node sheds the pod. A Service's `targetPort` names its port, `scx-slo`.
 */
import { ENDPOINT_ENV } from './endpoint.ts';
import { type PatchOp, pointer } from './patch.ts';
import type { PodView } from './pod-view.ts';

export const SIDECAR_NAME = 'scx-slo-sidecar';
/** For callers; the application keeps the port of `scx-slo.io/app-port`. */
export const SIDECAR_PORT = 8429;
/** Its own /healthz and /readyz. */
export const SIDECAR_HEALTH_PORT = 8430;

export interface SidecarPolicy {
  image: string;
  /**
   * `native`: an init container that is always restarted (Kubernetes 1.29 and newer). An older API server drops that
   * field, and the pod would wait for it to end for ever; there it is an ordinary `container`.
   */
  kind: 'native' | 'container';
}

const HEALTH_PORT_NAME = 'scx-slo-health';

/** Nobody: the image's own user may be root, which a restricted namespace refuses. */
const SIDECAR_UID = 65_532;

const REQUESTS = { cpu: '10m', memory: '64Mi' };
const MEMORY_LIMIT = { memory: '128Mi' };
/** Where the pod is "Guaranteed" it must stay so: exclusive CPUs hang on it. Half a CPU proxies thousands a second. */
const GUARANTEED = { cpu: '500m', memory: '128Mi' };

/** Keys that `sidecarContainer` writes: the self-check lets nothing else of a container through. */
export const SIDECAR_FIELDS: ReadonlySet<string> = new Set([
  'name',
  'image',
  'args',
  'env',
  'ports',
  'resources',
  'restartPolicy',
  'securityContext',
  'startupProbe',
  'readinessProbe',
]);

/** What admits the sidecar to a namespace of pod security level "restricted"; it takes rights, it grants none. */
export const SIDECAR_SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

/** @returns why this pod cannot have one; undefined: it can */
export function sidecarObstacle(
  pod: PodView,
  policy: SidecarPolicy | undefined,
  appPort: number,
): string | undefined {
  if (policy === undefined) {
    return 'no sidecar image is configured in this cluster';
  }
  if (pod.hostNetwork) {
    return 'a pod on the host network has no address of its own';
  }
  if (policy.kind === 'container' && !pod.restartsAlways) {
    return 'before Kubernetes 1.29 it would keep the pod from ending';
  }
  return appPort === SIDECAR_PORT || appPort === SIDECAR_HEALTH_PORT
    ? `port ${appPort} is the sidecar's own`
    : undefined;
}

/** Nothing where it is there already. The namespace may assign user ids itself (OpenShift): then none is asked for. */
export function sidecarOps(
  pod: PodView,
  policy: SidecarPolicy,
  appPort: number,
  endpointUrl: string,
  namespaceAssignsUids: boolean,
): PatchOp[] {
  if (pod.containerNames.includes(SIDECAR_NAME)) {
    return [];
  }
  const container = {
    name: SIDECAR_NAME,
    image: policy.image,
    args: ['sidecar'],
    env: [
      { name: 'SCX_SLO_APP_PORT', value: String(appPort) },
      { name: ENDPOINT_ENV, value: endpointUrl },
    ],
    ports: [
      { name: 'scx-slo', containerPort: SIDECAR_PORT, protocol: 'TCP' },
      { name: HEALTH_PORT_NAME, containerPort: SIDECAR_HEALTH_PORT, protocol: 'TCP' },
    ],
    startupProbe: {
      httpGet: { path: '/healthz', port: HEALTH_PORT_NAME },
      periodSeconds: 1,
      failureThreshold: 30,
    },
    readinessProbe: { httpGet: { path: '/readyz', port: HEALTH_PORT_NAME } },
    resources: pod.isGuaranteed
      ? { requests: GUARANTEED, limits: GUARANTEED }
      : { requests: REQUESTS, limits: MEMORY_LIMIT },
    ...(policy.kind === 'native' ? { restartPolicy: 'Always' } : {}),
    securityContext: {
      ...SIDECAR_SECURITY,
      ...(namespaceAssignsUids ? {} : { runAsUser: SIDECAR_UID }),
    },
  };
  if (policy.kind === 'container') {
    return [{ op: 'add', path: pointer('spec', 'containers', '-'), value: container }];
  }
  // Before all others; the last operation, because the places of the others are counted from there.
  return pod.hasInitContainers
    ? [{ op: 'add', path: pointer('spec', 'initContainers', 0), value: container }]
    : [{ op: 'add', path: pointer('spec', 'initContainers'), value: [container] }];
}

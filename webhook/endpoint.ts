/** Tells the application where the node answers 200 or 429: one environment variable in every container. */
import { type PatchOp, pointer } from './patch.ts';
import type { ContainerView, PodView } from './pod-view.ts';

export const ENDPOINT_ENV = 'SCX_SLO_ENDPOINT';
export const ENDPOINT_URL = 'http://scx-slo-signal.scx-slo-system.svc:7080';

/** No node runs a pod of more; beyond it a patch would only cost time. */
const INJECTED_CONTAINERS_MAX = 200;

export function endpointOps(pod: PodView, url: string): PatchOp[] {
  return pod.containers.slice(0, INJECTED_CONTAINERS_MAX).flatMap((container) => endpointOp(container, url));
}

function endpointOp({ list, index, env }: ContainerView, url: string): PatchOp[] {
  const variable = { name: ENDPOINT_ENV, value: url };
  const path = pointer('spec', list, index, 'env');
  if (env === 'absent') {
    return [{ op: 'add', path, value: [variable] }];
  }
  // A value that the user set stays: it may point at a proxy of theirs.
  return env.includes(ENDPOINT_ENV) ? [] : [{ op: 'add', path: `${path}/-`, value: variable }];
}

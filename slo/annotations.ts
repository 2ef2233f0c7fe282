/** The keys that people and this product write on pods and namespaces. */

export const DOMAIN = 'scx-slo.io';

/** On a pod; on a namespace the first four are the default of its pods. */
export const BUDGET_KEY = 'scx-slo.io/budget-ms';
export const IMPORTANCE_KEY = 'scx-slo.io/importance';
export const MODE_KEY = 'scx-slo.io/mode';
export const SHED_KEY = 'scx-slo.io/shed';
export const INJECT_KEY = 'scx-slo.io/inject';
export const APP_PORT_KEY = 'scx-slo.io/app-port';

export const POD_KEYS: ReadonlySet<string> = new Set([
  BUDGET_KEY,
  IMPORTANCE_KEY,
  MODE_KEY,
  SHED_KEY,
  INJECT_KEY,
  APP_PORT_KEY,
]);

/** On a pod, followed by a container's name. */
export const CONTAINER_BUDGET_PREFIX = 'budget-ms.scx-slo.io/';
export const CONTAINER_IMPORTANCE_PREFIX = 'importance.scx-slo.io/';

/** On a namespace: what its pods may have at most. */
export const MAX_IMPORTANCE_CAP_KEY = 'caps.scx-slo.io/max-importance';
export const MIN_BUDGET_CAP_KEY = 'caps.scx-slo.io/min-budget-ms';
export const MAX_RESERVATION_CAP_KEY = 'caps.scx-slo.io/max-reservation-percent';
export const ALLOW_UNSHEDDABLE_KEY = 'caps.scx-slo.io/allow-unsheddable';
/** Not a cap, a trust: its pods' reports may shed a little of pods that are no more important. */
export const TRUST_REPORTS_KEY = 'caps.scx-slo.io/trust-reports';

/** The record: written by the webhook, never read as a request. */
export const EFFECTIVE_BUDGET_KEY = 'effective.scx-slo.io/budget-ms';
export const EFFECTIVE_IMPORTANCE_KEY = 'effective.scx-slo.io/importance';
export const EFFECTIVE_SOURCE_KEY = 'effective.scx-slo.io/source';
export const EFFECTIVE_CLAMPED_KEY = 'effective.scx-slo.io/clamped';
/** Followed by a container's name. */
export const EFFECTIVE_CONTAINER_BUDGET_PREFIX = 'effective-budget-ms.scx-slo.io/';
export const EFFECTIVE_CONTAINER_IMPORTANCE_PREFIX = 'effective-importance.scx-slo.io/';
export const EFFECTIVE_CONTAINER_CLAMPED_PREFIX = 'effective-clamped.scx-slo.io/';

/** Label of a pod or namespace; with the value `disabled` the webhook leaves it alone. */
export const WEBHOOK_LABEL = 'scx-slo.io/webhook';
export const WEBHOOK_LABEL_DISABLED = 'disabled';

/** Kubelet's own annotations of static pods and their mirrors. */
export const MIRROR_KEY = 'kubernetes.io/config.mirror';
export const STATIC_HASH_KEY = 'kubernetes.io/config.hash';

const EFFECTIVE_KEY = /^effective(-[a-z-]+)?\.scx-slo\.io\//;

/** True for every key of the record, also those that a later version may write. */
export const isEffectiveKey = (key: string): boolean => EFFECTIVE_KEY.test(key);

/** True for every key under our domain: `scx-slo.io/x`, `anything.scx-slo.io/x`. */
export function isOurKey(key: string): boolean {
  const prefix = keyPrefix(key);
  return prefix === DOMAIN || prefix.endsWith(`.${DOMAIN}`);
}

/** The part before the slash; empty where there is none. */
function keyPrefix(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf('/')));
}

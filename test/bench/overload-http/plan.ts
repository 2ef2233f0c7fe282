/** What the overload over HTTP is: three services on one node, offered more than it can do. */

export interface HttpService {
  name: string;
  importance: number;
  budgetMs: number;
  /** CPU of one request, HTTP included. */
  requestMs: number;
  /** Of the node's CPUs, at a load of 1. */
  share: number;
}

/** Requests are long, because on an emulated CPU what HTTP costs is long, too: a refusal must stay a small part. */
export const SERVICES: readonly HttpService[] = [
  { name: 'checkout', importance: 90, budgetMs: 200, requestMs: 16, share: 0.4 },
  { name: 'search', importance: 50, budgetMs: 400, requestMs: 24, share: 0.3 },
  { name: 'recommendations', importance: 10, budgetMs: 800, requestMs: 32, share: 0.3 },
];

/** Offered / capacity. */
export const LOADS = [0.8, 1.5, 2, 3] as const;

export type Variant = 'kernel default' | 'scx-slo, no shedding' | 'scx-slo';

export interface VariantPlan {
  name: Variant;
  mode: 'observe' | 'enforce';
  shedding: boolean;
  loads: readonly number[];
}

/** Without shedding two loads say it all, and what they leave behind takes long to drain. */
export const VARIANTS: readonly VariantPlan[] = [
  { name: 'scx-slo', mode: 'enforce', shedding: true, loads: LOADS },
  { name: 'scx-slo, no shedding', mode: 'enforce', shedding: false, loads: [1.5, 3] },
  { name: 'kernel default', mode: 'observe', shedding: false, loads: [1.5, 3] },
];

export const SEED = 366;
export const SETTLE_SECONDS = 1;
/** Of the same load: the window shows how it goes on, not how it begins. */
export const WARM_UP_SECONDS = 5;
export const WINDOW_SECONDS = 12;
/** Answers may come so long after the window: as long as the largest budget. */
export const GRACE_SECONDS = 0.8;
/** Per service: as many as can be outstanding. */
export const CONNECTIONS = 400;

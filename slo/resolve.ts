/**
 * From what people wrote to what holds. The webhook records the answer, the agent works by it; both call this
 * one function, so they cannot disagree on the same input.
 *
 * Per value the first level that has a good one wins: container override, pod annotation, LatencySLO, namespace
 * default, cluster default, built-in default. Caps of the namespace come last.
 */
import {
  APP_PORT_KEY,
  BUDGET_KEY,
  CONTAINER_BUDGET_PREFIX,
  CONTAINER_IMPORTANCE_PREFIX,
  IMPORTANCE_KEY,
  INJECT_KEY,
  MODE_KEY,
  SHED_KEY,
} from './annotations.ts';
import { type Caps, capped, readCaps, withoutGrants } from './caps.ts';
import {
  BUDGET_DEFAULT_MS,
  IMPORTANCE_DEFAULT,
  parseAppPort,
  parseBudgetMs,
  parseImportance,
  parseInject,
  parseMode,
  parseShed,
} from './grammar.ts';
import { printable } from './printable.ts';
import { read } from './read.ts';
import type { Resolution, Slo, SloMode, SloProblem, SloSource } from './slo.ts';
import { unknownKeys } from './unknown-keys.ts';

/** What one level says; a value that it leaves open falls to the next level. */
export interface SloLayer {
  source: SloSource;
  budgetMs?: number | undefined;
  importance?: number | undefined;
  mode?: SloMode | undefined;
  shed?: boolean | undefined;
}

export interface ResolveInput {
  /** metadata.annotations as it came, also from adversarial JSON: values need not be strings. */
  annotations: Readonly<Record<string, unknown>> | null | undefined;
  /** Containers and init containers of the pod. */
  containerNames: readonly string[];
  /** Defaults (`scx-slo.io/*`) and caps (`caps.scx-slo.io/*`) of the pod's namespace. */
  namespaceAnnotations?: Readonly<Record<string, unknown>> | undefined;
  /** The annotations of the namespace may be old: they may tighten a cap still, but grant nothing beyond the built-in. */
  namespaceIsStale?: boolean | undefined;
  /** The LatencySLO that selects the pod; `source` is `latencyslo/<name>`. */
  latencySlo?: SloLayer | undefined;
  /** The ClusterSLODefault. */
  clusterDefault?: SloLayer | undefined;
}

/**
 * Never throws. A bad value is a problem and counts as absent.
 *
 * A pod has an SLO where it, or a LatencySLO that selects it, gives a budget or an importance, or where a
 * namespace or cluster default gives a budget. A default importance alone makes no SLO: it would turn all
 * ordinary work of a namespace into 100 ms work.
 */
export function resolve(input: ResolveInput): Resolution {
  const problems: SloProblem[] = [];
  const annotations = entriesOf(input.annotations);
  const namespace = entriesOf(input.namespaceAnnotations);
  const podLayer = readLayer('pod', annotations, problems);
  const namespaceProblems: SloProblem[] = [];
  const lower = [
    input.latencySlo,
    readLayer('namespace', namespace, namespaceProblems),
    input.clusterDefault,
  ].filter((layer) => layer !== undefined);
  const readableCaps = readCaps(namespace, namespaceProblems);
  const caps = input.namespaceIsStale === true ? withoutGrants(readableCaps) : readableCaps;
  checkInjection(annotations, problems);

  const podLayers = [podLayer, ...lower];
  const pod = combine(podLayers, caps);
  const containers = new Map<string, Slo>();
  for (const [name, layer] of containerLayers(annotations, new Set(input.containerNames), problems)) {
    const slo = combine([layer, ...podLayers], caps);
    if (slo !== undefined && (slo.budgetMs !== pod?.budgetMs || slo.importance !== pod.importance)) {
      containers.set(name, slo);
    }
  }
  problems.push(...unknownKeys(annotations.keys()));
  problems.push(...namespaceProblems.map((p) => ({ ...p, message: `namespace ${p.message}` })));
  return { pod, containers, problems };
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  return new Map(isRecord ? Object.entries(value) : []);
}

function readLayer(
  source: SloSource,
  entries: ReadonlyMap<string, unknown>,
  problems: SloProblem[],
): SloLayer {
  return {
    source,
    budgetMs: read(entries, BUDGET_KEY, parseBudgetMs, problems),
    importance: read(entries, IMPORTANCE_KEY, parseImportance, problems),
    mode: read(entries, MODE_KEY, parseMode, problems),
    shed: read(entries, SHED_KEY, parseShed, problems),
  };
}

function checkInjection(entries: ReadonlyMap<string, unknown>, problems: SloProblem[]): void {
  const injection = read(entries, INJECT_KEY, parseInject, problems);
  const port = read(entries, APP_PORT_KEY, parseAppPort, problems);
  if (injection === 'sidecar' && port === undefined) {
    problems.push({
      code: 'SLO_E_INJECT',
      key: INJECT_KEY,
      value: injection,
      message: `${INJECT_KEY}: "sidecar" needs ${APP_PORT_KEY} (1 .. 65535)`,
    });
  }
}

function containerLayers(
  entries: ReadonlyMap<string, unknown>,
  containerNames: ReadonlySet<string>,
  problems: SloProblem[],
): Map<string, SloLayer> {
  const layers = new Map<string, SloLayer>();
  for (const key of entries.keys()) {
    const isBudget = key.startsWith(CONTAINER_BUDGET_PREFIX);
    if (!isBudget && !key.startsWith(CONTAINER_IMPORTANCE_PREFIX)) {
      continue;
    }
    const name = key.slice(key.indexOf('/') + 1);
    if (!containerNames.has(name)) {
      problems.push(unknownContainer(key, entries.get(key)));
      continue;
    }
    const layer = layers.get(name) ?? { source: 'container' };
    if (isBudget) {
      layer.budgetMs = read(entries, key, parseBudgetMs, problems);
    } else {
      layer.importance = read(entries, key, parseImportance, problems);
    }
    layers.set(name, layer);
  }
  return layers;
}

function unknownContainer(key: string, value: unknown): SloProblem {
  return {
    code: 'SLO_E_UNKNOWN_CONTAINER',
    key: printable(key, 128),
    value: printable(value),
    message: `${printable(key, 80)}: the pod has no such container; ignored`,
  };
}

/** Highest precedence first. */
function combine(layers: readonly SloLayer[], caps: Caps): Slo | undefined {
  const budget = layers.find((layer) => layer.budgetMs !== undefined);
  const named = layers.some((layer) => layer.importance !== undefined && !isDefaultLevel(layer.source));
  if (budget === undefined && !named) {
    return undefined;
  }
  const first = (key: keyof SloLayer): SloLayer | undefined =>
    layers.find((layer) => layer[key] !== undefined);
  const mode = first('mode')?.mode;
  const shed = first('shed');
  const asked = {
    budgetMs: budget?.budgetMs ?? BUDGET_DEFAULT_MS,
    importance: first('importance')?.importance ?? IMPORTANCE_DEFAULT,
    shed: shed?.shed ?? true,
    shedByCluster: shed?.source === 'cluster',
  };
  return {
    ...capped(asked, caps),
    ...(mode === undefined ? {} : { mode }),
    source: budget?.source ?? 'default',
  };
}

function isDefaultLevel(source: SloSource): boolean {
  return source === 'namespace' || source === 'cluster';
}

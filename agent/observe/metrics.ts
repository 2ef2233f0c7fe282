/** Renders /metrics in pieces, so that a node with thousands of pods does not hold the event loop. */
import type { ReflectorState } from '../../kube/reflector.ts';
import type { MetricSpec } from '../../slo/metric-spec.ts';
import { MISS_REASONS } from '../kernel/port.ts';
import { callerKeyOf, labelsOf, SYSTEM_LABELS } from '../plan/live-slot.ts';
import type { AgentView } from './agent-view.ts';
import { headerText, histogramText, sampleText, singleText } from './exposition.ts';
import type { Series } from './ledger.ts';
import { METRICS } from './metric-catalog.ts';
import type { ThrottleSeries } from './throttle-ledger.ts';

const valuesOf = ({ labels }: Pick<Series, 'labels'>): [string, string, string] => [
  labels.namespace,
  labels.pod,
  labels.container,
];

/** Series in one piece. */
const CHUNK = 64;
/** Characters in one piece, about the same. */
const PIECE_LENGTH = 4_096;

/** The text of one metric over many things, in pieces. */
function* chunks<T>(spec: MetricSpec, things: Iterable<T>, text: (thing: T) => string): Generator<string> {
  let piece = headerText(spec);
  let count = 0;
  for (const thing of things) {
    piece += text(thing);
    count += 1;
    if (count % CHUNK === 0) {
      yield piece;
      piece = '';
    }
  }
  yield piece;
}

function* seriesMetrics(view: AgentView): Generator<string> {
  const perSeries = (spec: MetricSpec, value: (series: Series) => number) =>
    chunks(spec, view.series(), (series) => sampleText(spec, valuesOf(series), value(series)));
  yield* chunks(METRICS.schedDelay, view.series(), (series) =>
    histogramText(METRICS.schedDelay, valuesOf(series), series.hist, series.waitNs),
  );
  yield* chunks(METRICS.misses, view.series(), (series) =>
    MISS_REASONS.map((reason) =>
      sampleText(METRICS.misses, [...valuesOf(series), reason], series.misses[reason]),
    ).join(''),
  );
  yield* perSeries(METRICS.bursts, (series) => series.bursts);
  yield* perSeries(METRICS.cpu, (series) => series.ranNs / 1e9);
}

function* throttleMetrics(view: AgentView): Generator<string> {
  const perSeries = (spec: MetricSpec, value: (series: ThrottleSeries) => number) =>
    chunks(spec, view.throttles(), (series) => sampleText(spec, valuesOf(series), value(series)));
  yield* perSeries(METRICS.throttled, (series) => series.throttledNs / 1e9);
  yield* perSeries(METRICS.cpuPeriods, (series) => series.periods);
  yield* perSeries(METRICS.cpuThrottledPeriods, (series) => series.throttledPeriods);
}

/** The node's, then that of every pod or path that draws on credit of its own. */
function* reservationMetrics({ reservation, live }: AgentView): Generator<string> {
  const spec = METRICS.reservationRatio;
  let piece = headerText(spec) + sampleText(spec, ['', ''], reservation.ratio);
  for (const { entry } of live()) {
    const ratio = reservation.ratios.get(entry.desired.cgroupId);
    const { namespace, pod } = labelsOf(entry.desired.owner);
    if (ratio !== undefined) piece += sampleText(spec, [namespace, pod], ratio);
    if (piece.length < PIECE_LENGTH) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

function* sloMetrics(view: AgentView): Generator<string> {
  const slots = [...view.live()].flatMap((live) => {
    const { slo } = live.entry.desired;
    const { meter, entry } = live;
    return slo === undefined || meter === undefined ? [] : [{ values: valuesOf(meter.series), entry, slo }];
  });
  yield* chunks(METRICS.budget, slots, ({ values, slo }) =>
    sampleText(METRICS.budget, values, slo.budgetMs / 1000),
  );
  yield* chunks(METRICS.importance, slots, ({ values, slo }) =>
    sampleText(METRICS.importance, values, slo.importance),
  );
  const reserved = slots.map(({ values, entry }) => ({ values, cpus: entry.policy.reservedCpus }));
  const system = { values: ['', SYSTEM_LABELS.pod, ''], cpus: view.systemReservedCpus };
  yield* chunks(METRICS.reserved, [system, ...reserved], ({ values, cpus }) =>
    sampleText(METRICS.reserved, values, cpus),
  );
  const levels = new Map(slots.map(({ values, entry }) => [callerKeyOf(entry.desired.owner), values]));
  yield* chunks(METRICS.shedRatio, levels, ([key, [namespace, pod]]) =>
    sampleText(METRICS.shedRatio, [namespace, pod], view.board.get(key ?? '')?.shedRatio ?? 0),
  );
}

const modeText = ({ mode }: AgentView): string =>
  headerText(METRICS.nodeMode) +
  ['observe', 'advisory', 'enforce', 'unsupported']
    .map((name) => {
      const isNow = name === mode.mode;
      return sampleText(METRICS.nodeMode, [name, isNow ? (mode.reason?.code ?? '') : ''], isNow ? 1 : 0);
    })
    .join('');

const eventText = ({ health, cgroupEventsDropped }: AgentView): string =>
  headerText(METRICS.eventsDropped) +
  sampleText(METRICS.eventsDropped, ['miss'], health.eventsDropped) +
  sampleText(METRICS.eventsDropped, ['cgroup'], cgroupEventsDropped);

const slotsText = ({ slotsUsed, slotsCapacity }: AgentView): string =>
  headerText(METRICS.slots) +
  sampleText(METRICS.slots, ['used'], slotsUsed) +
  sampleText(METRICS.slots, ['capacity'], slotsCapacity);

const reflectorText = (view: AgentView): string => {
  const states = view.sourceStates().flatMap(({ reflectors }) => Object.entries(reflectors));
  const all = (spec: MetricSpec, value: (state: ReflectorState) => number): string =>
    headerText(spec) + states.map(([resource, state]) => sampleText(spec, [resource], value(state))).join('');
  return [
    all(METRICS.reflectorStale, ({ staleMs }) => staleMs / 1000),
    all(METRICS.reflectorLists, ({ lists }) => lists),
    all(METRICS.reflectorWatches, ({ watches }) => watches),
    all(METRICS.reflectorRepairs, ({ repairs }) => repairs),
    all(METRICS.reflectorErrors, ({ errors }) => errors),
  ].join('');
};

const kubeEventsText = (view: AgentView): string =>
  headerText(METRICS.kubeEvents) +
  view
    .eventCounts()
    .flatMap((counts) => Object.entries(counts))
    .map(([outcome, count]) => sampleText(METRICS.kubeEvents, [outcome], count))
    .join('');

const answersText = ({ shedAnswers }: AgentView): string =>
  headerText(METRICS.shedAnswers) +
  [...shedAnswers.values()]
    .map(
      ({ namespace, pod, allowed, denied }) =>
        sampleText(METRICS.shedAnswers, [namespace, pod, 'allow'], allowed) +
        sampleText(METRICS.shedAnswers, [namespace, pod, 'deny'], denied),
    )
    .join('');

const nodeMetrics = (view: AgentView): string =>
  [
    headerText(METRICS.buildInfo) + sampleText(METRICS.buildInfo, [view.version, view.kernelVersion], 1),
    modeText(view),
    headerText(METRICS.schedulerExits),
    ...[...view.schedulerExits].map(([reason, times]) => sampleText(METRICS.schedulerExits, [reason], times)),
    singleText(METRICS.schedulerRestart, view.restart.inSeconds),
    eventText(view),
    singleText(METRICS.missEvents, view.missEvents),
    singleText(METRICS.fairFallbacks, view.health.fairFallbacks),
    singleText(METRICS.preemptKicks, view.health.preemptKicks),
    singleText(METRICS.floorPicks, view.health.floorPicks),
    singleText(METRICS.stalls, view.health.stalls),
    singleText(METRICS.limitChanges, view.health.limitChanges),
    singleText(METRICS.expiredDemotions, view.health.expiredDemotions),
    singleText(METRICS.throttles, view.health.throttles),
    singleText(METRICS.rescues, view.health.rescues),
    slotsText(view),
    singleText(METRICS.unresolvedPods, view.plan.unresolved.length),
    singleText(METRICS.conflicts, view.plan.conflicts.length),
    singleText(METRICS.evicted, view.plan.evicted.length),
    headerText(METRICS.sourceErrors),
    ...[...view.sourceErrors()].map(({ source, errors }) =>
      sampleText(METRICS.sourceErrors, [source], errors.length),
    ),
    reflectorText(view),
    kubeEventsText(view),
    headerText(METRICS.resolveDuration),
    histogramText(METRICS.resolveDuration, [], view.resolveHist, view.resolveSumNs),
    answersText(view),
    singleText(METRICS.unknownCallers, view.unknownCallers),
    singleText(METRICS.eventLoopP99, view.eventLoopP99S()),
    singleText(METRICS.residentMemory, process.memoryUsage.rss()),
    singleText(METRICS.agentCpu, agentCpuS()),
  ].join('');

const agentCpuS = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

export function* metricsText(view: AgentView): Generator<string> {
  yield nodeMetrics(view);
  yield* reservationMetrics(view);
  yield* sloMetrics(view);
  yield* seriesMetrics(view);
  yield* throttleMetrics(view);
}

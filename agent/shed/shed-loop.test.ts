import { describe, expect, it } from 'vitest';
import type { SlotStats } from '../kernel/port.ts';
import { bucketOf, HIST_BUCKETS } from '../observe/histogram.ts';
import { Ledger } from '../observe/ledger.ts';
import type { DesiredSlot } from '../plan/desired-slot.ts';
import { callerKeyOf, type LiveSlot, labelsOf } from '../plan/live-slot.ts';
import type { PodTarget } from '../pods/target.ts';
import { LevelBoard } from './level-board.ts';
import { importanceByKey } from './pod-facts.ts';
import type { PressureTotals } from './pressure-feed.ts';
import { ShedLoop, type ShedTick } from './shed-loop.ts';

const TICK_MS = 200;

const podOf = (name: string, importance: number, more: Partial<PodTarget> = {}): PodTarget => ({
  kind: 'pod',
  uid: name,
  cgroupUid: name,
  namespace: 'shop',
  name,
  slo: { budgetMs: 50, importance, shed: true, source: 'pod', clamped: [] },
  containers: [],
  podIps: [],
  cpuRequestMilli: 500,
  problems: [],
  ...more,
});

/** A pod's own slot, as the slot keeper has it; `late` bursts a tick wait for twice the budget. */
class PodSlot {
  readonly live: LiveSlot;
  readonly #ledger = new Ledger();
  readonly #hist = new Uint32Array(HIST_BUCKETS);
  #bursts = 0;

  constructor(pod: PodTarget, cpus: number) {
    const owner = { kind: 'pod' as const, pod };
    const desired: DesiredSlot = {
      cgroupId: 1n,
      path: `/kubepods/pod${pod.uid}`,
      owner,
      slo: pod.slo,
      creditOf: 1n,
      sloOf: 1n,
      ancestors: { quotaCpus: undefined, limited: false, idle: false } as DesiredSlot['ancestors'],
      quotaCpus: undefined,
      fixedSlot: undefined,
      policy: {
        cgroupId: 1n,
        budgetNs: (pod.slo?.budgetMs ?? 0) * 1e6,
        importance: pod.slo?.importance ?? 1,
        reservedCpus: 0,
        creditCapNs: 0,
        weight: 100,
        idle: false,
        quotaNs: 0,
        periodUs: 0,
        limited: false,
        deadline: false,
      },
    };
    const policy = { ...desired.policy, creditSlot: 1, sloSlot: 1, parentSlot: 0 };
    this.live = {
      entry: { slot: 1, desired, policy, round: 0 },
      owner,
      callerKey: callerKeyOf(owner),
      meter: this.#ledger.open(labelsOf(owner), pod.slo !== undefined, 0),
      throttle: undefined,
      cpus,
      wantedCpus: cpus,
      activity: 0,
      limitChanges: 0,
    };
  }

  count(waits: number, waitMs: number, nowMs: number): void {
    const bucket = bucketOf(waitMs * 1e6);
    this.#hist[bucket] = (this.#hist[bucket] ?? 0) + waits;
    this.#bursts += waits;
    const stats: SlotStats = {
      bursts: this.#bursts,
      misses: { sched: 0, over: 0, shed: 0, throttle: 0, stall: 0 },
      waitNs: 0,
      ranNs: 0,
      throttledNs: 0,
      periods: 0,
      throttledPeriods: 0,
      eventsDropped: 0,
      maxWaitNs: 0,
      hist: this.#hist.slice(),
    };
    if (this.live.meter !== undefined) this.#ledger.read(this.live.meter, stats, nowMs);
  }
}

const noTotals = (): undefined => undefined;

class Bench {
  readonly turns: string[] = [];
  readonly loop: ShedLoop;
  readonly #importance: ReadonlyMap<string, number>;
  nowMs = 10_000;

  constructor(
    pods: readonly PodTarget[],
    dryRun = false,
    readTotals: (path: string) => PressureTotals | undefined = noTotals,
  ) {
    this.#importance = importanceByKey(pods);
    const board = new LevelBoard(({ podUid, computedRatio }) =>
      this.turns.push(`${podUid} ${computedRatio > 0 ? 'sheds' : 'is open'}`),
    );
    this.loop = new ShedLoop({ board, readTotals, dryRun });
  }

  tick(live: readonly LiveSlot[], more: Partial<ShedTick> = {}): void {
    this.nowMs += TICK_MS;
    const importance = this.#importance;
    const preset = {
      mode: 'advisory',
      live,
      revision: 0,
      importance,
      nodeBusy: 1,
      cpus: 2,
      kernelAgeMs: 0,
    } as const;
    this.loop.tick({ ...preset, nowMs: this.nowMs, ...more });
  }

  shed(name: string): number {
    return this.loop.board.get(`pod/${name}`)?.shedRatio ?? Number.NaN;
  }
}

describe('the loop from slots to levels', () => {
  const pods = [podOf('vip', 90), podOf('low', 10)];

  const overloaded = (bench: Bench, ticks: number): PodSlot[] => {
    const slots = pods.map((pod) => new PodSlot(pod, 1));
    for (let tick = 0; tick < ticks; tick += 1) {
      for (const slot of slots) slot.count(40, 100, bench.nowMs + TICK_MS);
      bench.tick(slots.map(({ live }) => live));
    }
    return slots;
  };

  it('publishes levels with what they were decided from, and tells of turns', () => {
    const bench = new Bench(pods);
    overloaded(bench, 3);
    expect(bench.shed('low')).toBeGreaterThan(0.7);
    expect(bench.turns).toContain('low sheds');
    const [level] = bench.loop.board.levels(() => ['10.0.0.1']).filter(({ podUid }) => podUid === 'low');
    expect(level).toMatchObject({ key: 'pod/low', podIps: ['10.0.0.1'], importance: 10, state: 'shedding' });
    expect(level?.inputs).toMatchObject({ budgetMs: 50, nodeBusy: 1, queueWaitMs: null, missRatio: 0 });
    expect(level?.inputs.waitP95Ms).toBeGreaterThan(90);
  });

  it('publishes nothing but 0 in a dry run, and what it would do', () => {
    const bench = new Bench(pods, true);
    overloaded(bench, 3);
    expect(bench.shed('low')).toBe(0);
    const level = bench.loop.board.get('pod/low');
    expect(level?.computedRatio).toBeGreaterThan(0.7);
    expect(level?.reason).toMatch(/^dry run: work of /);
    expect(level?.state).toBe('ok');
  });

  it('goes on by the cgroup files of the pods that it knew when the kernel’s session ends', () => {
    let readAtMs = 0;
    const stat = { usageNs: 0, periods: 0, throttledPeriods: 0, throttledNs: 0 };
    const bench = new Bench(pods, false, () => ({
      pressedNs: readAtMs * 1e6,
      stat: { ...stat, usageNs: readAtMs * 1e6 },
    }));
    overloaded(bench, 3);
    const before = bench.shed('low');
    for (let tick = 0; tick < 20; tick += 1) {
      readAtMs = bench.nowMs + TICK_MS;
      bench.tick([], { kernelAgeMs: (tick + 1) * TICK_MS });
    }
    expect(bench.shed('low')).toBeGreaterThanOrEqual(before);
    expect(bench.loop.board.get('pod/low')).toMatchObject({ state: 'degraded' });
    expect(bench.loop.board.get('pod/low')?.inputs).toMatchObject({ pressure: 1 });
  });

  it('lets go where neither kernel nor files say anything, and says so', () => {
    const bench = new Bench(pods);
    overloaded(bench, 3);
    for (let tick = 0; tick < 60; tick += 1) bench.tick([], { kernelAgeMs: (tick + 1) * TICK_MS });
    expect(bench.shed('low')).toBe(0);
    expect(bench.loop.board.get('pod/low')).toMatchObject({ state: 'stale' });
    expect(bench.turns).toContain('low is open');
  });

  it('raises nobody but the pod that reports, and forgets it with the pod', () => {
    const bench = new Bench(pods);
    const slots = pods.map((pod) => new PodSlot(pod, 1));
    for (let tick = 0; tick < 5; tick += 1) {
      bench.loop.report({ podUid: 'vip', queueWaitMs: 500, receivedAtMs: bench.nowMs + TICK_MS - 10 });
      for (const slot of slots) slot.count(40, 1, bench.nowMs + TICK_MS);
      bench.tick(slots.map(({ live }) => live));
    }
    expect(bench.shed('vip')).toBeGreaterThan(0.5);
    expect(bench.shed('low')).toBe(0);
  });

  it('does nothing in mode observe, and forgets pods that are gone', () => {
    const bench = new Bench(pods);
    const slots = overloaded(bench, 3);
    bench.tick(
      slots.map(({ live }) => live),
      { mode: 'observe' },
    );
    expect(bench.shed('low')).toBe(0);
    bench.tick([], { importance: new Map() });
    expect(bench.loop.board.get('pod/low')).toBeUndefined();
  });
});

describe('pods at rest', () => {
  const pods = [podOf('vip', 90), podOf('low', 10)];
  const slotsOf = (bench: Bench, ticks: number): PodSlot[] => {
    const slots = pods.map((pod) => new PodSlot(pod, 0));
    for (let tick = 0; tick < ticks; tick += 1) bench.tick(slots.map(({ live }) => live));
    return slots;
  };
  const levelOf = (bench: Bench, name: string) =>
    bench.loop.board.levels(() => []).find(({ podUid }) => podUid === name);

  it('keep the very level that they had, and their files are not read', () => {
    let reads = 0;
    const bench = new Bench(pods, false, () => {
      reads += 1;
      return undefined;
    });
    const live = slotsOf(bench, 60).map((slot) => slot.live);
    const before = bench.loop.board.get('pod/low');
    let same = 0;
    for (let tick = 0; tick < 25; tick += 1) {
      bench.tick(live);
      if (bench.loop.board.get('pod/low') === before) same += 1;
    }
    expect(same).toBeGreaterThan(0);
    expect(reads).toBe(0);
    expect(bench.loop.board.get('pod/low')).toMatchObject({ state: 'ok', shedRatio: 0 });
  });

  it('show how busy the node is within five seconds', () => {
    const bench = new Bench(pods);
    const live = slotsOf(bench, 60).map((slot) => slot.live);
    for (let tick = 0; tick < 25; tick += 1) bench.tick(live, { nodeBusy: 0.25 });
    expect(levelOf(bench, 'low')?.inputs.nodeBusy).toBe(0.25);
  });

  it('refuse like all of their kind in the step in which a more important pod is in trouble', () => {
    const late = (restingTicks: number): number => {
      const bench = new Bench(pods);
      const [vip, low] = slotsOf(bench, restingTicks);
      if (vip === undefined || low === undefined) return Number.NaN;
      vip.live.cpus = 2;
      for (let tick = 0; tick < 4; tick += 1) {
        vip.count(40, 100, bench.nowMs + TICK_MS);
        bench.tick([vip.live, low.live]);
      }
      return bench.shed('low');
    };
    expect(late(60)).toBeGreaterThan(0);
    expect(late(60)).toBe(late(1));
  });

  it('are looked at again when a plan changed what is wanted of them', () => {
    const bench = new Bench(pods);
    const slots = slotsOf(bench, 60);
    const live = slots.map((slot) => slot.live);
    const [, low] = slots;
    if (low !== undefined)
      low.live.entry.desired = { ...low.live.entry.desired, slo: podOf('low', 10, {}).slo };
    const { slo } = low?.live.entry.desired ?? {};
    if (slo !== undefined) slo.shed = false;
    for (let tick = 0; tick < 25; tick += 1) bench.tick(live, { revision: 1 });
    expect(bench.loop.board.get('pod/low')?.reason).toBe('shedding is off for this pod');
  });
});

/** A made-up measurement in which everything is as it should be, for tests to spoil one thing at a time. */
import { poissonArrivals } from '../bench/arrivals.ts';
import { replayMs } from '../bench/theory.ts';
import type { Measured, MeasuredPhase } from './result.ts';

const SECONDS = 15;
const arrivals = poissonArrivals({ seed: 69, ratePerSecond: 100, seconds: SECONDS, workers: 1 });
const noMisses = { sched: 0, over: 0, shed: 0, throttle: 0, stall: 0 };

const stream = (
  name: string,
  latenciesMs: number[],
  change: Partial<MeasuredPhase['load']['streams'][number]> = {},
) => ({
  name,
  offered: latenciesMs.length,
  served: latenciesMs.length,
  shed: 0,
  failed: 0,
  servedInWindow: latenciesMs.length,
  backlog: 0,
  latenciesMs,
  startsMs: arrivals.slice(0, latenciesMs.length).map((arrival) => arrival.atMs),
  lowerBounds: 0,
  maxLateMs: 0.3,
  openedLate: 0,
  sustained: true,
  ...change,
});

const phase = (name: MeasuredPhase['name'], serviceMs: number, batchSeconds: number): MeasuredPhase => {
  const latenciesMs = replayMs(arrivals, serviceMs);
  const used = (latenciesMs.length * 4) / 1000;
  return {
    name,
    scheduler: name === 'alone' || name === 'default' ? 'EEVDF' : 'sched_ext scx_slo',
    load: { windowMs: SECONDS * 1000, streams: [stream('checkout', latenciesMs)] },
    cpu: {
      services: { checkout: used, recommendations: 0 },
      batchSeconds,
      otherSeconds: 0.1,
      accountedShare: batchSeconds > 0 ? 0.99 : 0.43,
    },
    services: [{ name: 'checkout', nominalMs: 4, ratePerSecond: 100 }],
    misses: { checkout: { ...noMisses } },
  };
};

const starved = (): MeasuredPhase => {
  const plain = phase('default', 4, 10.8);
  const latenciesMs = arrivals.map((arrival) => arrival.atMs * 0.4 + 10);
  return {
    ...plain,
    cpu: { ...plain.cpu, services: { checkout: 3.6 }, batchSeconds: 10.8 },
    load: {
      ...plain.load,
      streams: [
        stream('checkout', latenciesMs, {
          servedInWindow: 900,
          backlog: 600,
          lowerBounds: 590,
          sustained: false,
        }),
      ],
    },
    misses: { checkout: { ...noMisses, sched: 30 } },
  };
};

const overloaded = (): MeasuredPhase => {
  const base = phase('overload', 4.3, 3);
  const both = [
    ...base.load.streams,
    stream('recommendations', replayMs(arrivals, 4.5), { shed: 700, firstShedMs: 1200 }),
  ];
  return {
    ...base,
    load: { ...base.load, streams: both },
    services: [...base.services, { name: 'recommendations', nominalMs: 10, ratePerSecond: 90 }],
    misses: { ...base.misses, recommendations: { ...noMisses, over: 12 } },
  };
};

export const goodMeasurement = (): Measured => {
  const again = phase('alone again', 4, 0);
  return {
    kernel: '7.3.4',
    cpus: 1,
    pods: [
      {
        name: 'checkout',
        namespace: 'shop',
        budgetMs: 20,
        importance: 90,
        cgroup: '/kubepods.slice/a',
        cgroupId: 7,
      },
      {
        name: 'recommendations',
        namespace: 'shop',
        budgetMs: 50,
        importance: 40,
        cgroup: '/kubepods.slice/b',
        cgroupId: 8,
      },
      { name: 'batch-a', namespace: 'batch', cgroup: '/kubepods.slice/c', cgroupId: 9 },
    ],
    batchThreads: 12,
    phases: [phase('alone', 4, 0), again, starved(), phase('scx-slo', 4.2, 8.5), overloaded()],
  };
};

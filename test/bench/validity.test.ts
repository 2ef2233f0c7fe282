import { expect, test } from 'vitest';
import { poissonArrivals } from './arrivals.ts';
import { measuredRun } from './fake-figures.ts';
import type { MeasuredRun, MeasuredWindow } from './measured.ts';
import { figuresOf } from './measured-figures.ts';
import { ALONE_AGAIN } from './scenario.ts';
import { noisyNeighbour, noisyNeighbourWall } from './scenarios/noisy-neighbour.ts';
import { ordinarySeed } from './seeds.ts';
import { replayMs } from './theory.ts';
import { validityOf } from './validity.ts';

const SECONDS = 12;
const seed = ordinarySeed(
  { ratePerSecond: 200, requestMs: 2, workers: 1, warmUpSeconds: 0, windowSeconds: SECONDS },
  0,
  1,
);
const arrivals = poissonArrivals({ seed, ratePerSecond: 200, seconds: SECONDS, workers: 1 });

interface Spoil {
  slower?: number;
  cost?: number;
  accounted?: number;
  lateMs?: number;
}

const measured = (
  policy: string,
  { slower = 1, cost = 2, accounted = 0.99, lateMs = 0.1 }: Spoil = {},
): MeasuredWindow => {
  const used = (arrivals.length * cost) / 1000;
  const isAlone = policy.startsWith('alone');
  return {
    policy,
    case: 'saturated',
    scheduler: 'EEVDF',
    windowMs: SECONDS * 1000,
    maxLateMs: lateMs,
    services: [
      {
        pod: 'api',
        requestMs: 2,
        ratePerSecond: 200,
        seed,
        warmUpMs: 0,
        startsMs: arrivals.map(({ atMs }) => atMs),
        latenciesMs: replayMs(arrivals, 2).map((ms) => ms * slower),
        lowerBounds: 0,
        servedInWindow: arrivals.length,
        backlog: 0,
        oldestMs: 0,
      },
    ],
    progress: [],
    podSeconds: { api: used },
    containerSeconds: {},
    podsSeconds: isAlone ? used : accounted * SECONDS - 0.1,
    otherSeconds: 0.1,
    waits: {},
  };
};

const broken = (alone: Spoil, again: Spoil, eevdf: Spoil): string[] => {
  const runs = [
    measuredRun(0, measured('alone', alone), measured('eevdf', eevdf), measured(ALONE_AGAIN, again)),
  ];
  return validityOf(noisyNeighbour, runs, figuresOf(noisyNeighbour, runs))
    .filter(({ ok }) => !ok)
    .map(({ name }) => name);
};

test('what queueing theory expects is valid', () => {
  expect(broken({}, {}, {})).toEqual([]);
});

test('an instrument that is wrong says so', () => {
  expect(broken({ slower: 1.4 }, { slower: 1.4 }, {})).toEqual([
    'alone agrees with queueing theory (M/D/1) within 20 %',
    'alone agrees with a replay of the same arrivals on an ideal CPU within 5 % (p50, p99)',
  ]);
  expect(broken({}, { slower: 1.08 }, {})).toEqual(['two alone runs agree within 5 %']);
  expect(broken({}, {}, { cost: 2.2 })).toEqual(['eevdf: a request costs what was calibrated']);
  expect(broken({}, {}, { accounted: 0.95 })).toEqual(["eevdf: the cgroups' CPU adds up"]);
  expect(broken({}, {}, { lateMs: 30 })).toEqual(['requests start at their times']);
});

test('in wall time a busy host is told by a service that does not keep up alone', () => {
  const behind = measured('alone');
  for (const service of behind.services) Object.assign(service, { backlog: 500, oldestMs: 4000 });
  const runs = [measured('alone'), behind].map(
    (window, run): MeasuredRun => ({
      scenario: 'noisy-neighbour-2cpu',
      run,
      kernel: '7.3.4',
      cpus: 2,
      llcs: 1,
      order: [],
      nsPerTurn: 14,
      windows: [window],
    }),
  );
  const checks = validityOf(noisyNeighbourWall, runs, figuresOf(noisyNeighbourWall, runs));
  expect(checks.find(({ name }) => name.startsWith('the host'))).toMatchObject({
    ok: false,
    detail: 'in 1 of 2 windows',
  });
});

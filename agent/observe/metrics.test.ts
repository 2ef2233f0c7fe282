import { describe, expect, it } from 'vitest';
import { NO_CLAIMS } from '../plan/claims.ts';
import { NO_RESERVATION } from '../plan/reservation.ts';
import { LevelBoard } from '../shed/level-board.ts';
import type { AgentView } from './agent-view.ts';
import { HealthSum } from './health-sum.ts';
import { Ledger } from './ledger.ts';
import { METRICS } from './metric-catalog.ts';
import { metricsText } from './metrics.ts';

const view = (ledger: Ledger): AgentView => ({
  nodeName: 'n',
  version: '1.2.3',
  kernelVersion: '7.3',
  mode: { mode: 'observe', wanted: 'observe', reason: undefined },
  live: () => [],
  series: () => ledger.series(),
  throttles: () => [],
  plan: { slots: [], unresolved: [], conflicts: [], evicted: [], claims: NO_CLAIMS },
  reservation: NO_RESERVATION,
  systemReservedCpus: 0.3,
  slotsUsed: 0,
  slotsCapacity: 16_384,
  board: new LevelBoard(),
  health: new HealthSum().total(),
  cgroupEventsDropped: 0,
  missEvents: 0,
  schedulerExits: new Map([['stall', 2]]),
  restart: { action: 'none', inSeconds: 0, failuresLastHour: 0 },
  exits: [],
  events: [],
  shedAnswers: new Map(),
  unknownCallers: 0,
  sourceErrors: () => [{ source: 'config', errors: [] }],
  sourceStates: () => [
    {
      problem: undefined,
      reflectors: {
        pods: {
          isSynced: true,
          staleMs: 0,
          failure: undefined,
          ...{ objects: 1, lists: 1, watches: 1, repairs: 0, errors: 0 },
        },
      },
    },
  ],
  eventCounts: () => [{ sent: 1, suppressed: 0, dropped: 0 }],
  resolveHist: new Float64Array(40),
  resolveSumNs: 0,
  eventLoopP99S: () => 0.001,
  socketOf: () => undefined,
});

describe('metricsText', () => {
  it('shows every metric of the catalogue once, in a form that Prometheus reads', () => {
    const ledger = new Ledger();
    for (let pod = 0; pod < 200; pod += 1)
      ledger.open({ namespace: 'n', pod: `p${pod}`, container: '' }, true, 0);
    const pieces = [...metricsText(view(ledger))];
    const text = pieces.join('');
    for (const { name, type } of Object.values(METRICS)) {
      expect(text.split(`# TYPE ${name} ${type}\n`)).toHaveLength(2);
    }
    const line = /^(#.*|[a-z_0-9]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? [0-9.e+-]+)$/;
    expect(text.split('\n').filter((each) => each !== '' && !line.test(each))).toEqual([]);
    expect(text).toContain('scx_slo_scheduler_exits_total{reason="stall"} 2\n');
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(150_000);
  });
});

it('adds the counters of ended sessions to those of the one that runs', () => {
  const sum = new HealthSum();
  const health = { ...sum.total(), stalls: 3 };
  sum.update(health);
  sum.endSession();
  sum.update({ ...health, stalls: 1 });
  sum.update({ ...health, stalls: 2 });
  expect(sum.total().stalls).toBe(5);
});

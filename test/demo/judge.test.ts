import { describe, expect, test } from 'vitest';
import { judge } from './judge.ts';
import { goodMeasurement } from './measured-sample.ts';
import { isMet, isValid, markdown, picture, table, verdict } from './report.ts';
import type { Measured, MeasuredPhase } from './result.ts';

const spoilt = (name: MeasuredPhase['name'], spoil: (phase: MeasuredPhase) => void): Measured => {
  const measured = goodMeasurement();
  for (const phase of measured.phases) if (phase.name === name) spoil(phase);
  return measured;
};
const judged = (measured: Measured) => judge(measured, 'vm', 'virtual');
const broken = (measured: Measured): string[] => {
  const result = judged(measured);
  return [...result.validity, ...result.targets].filter((check) => !check.ok).map((check) => check.name);
};
const ofCheckout = (phase: MeasuredPhase) => {
  const [stream] = phase.load.streams;
  if (stream === undefined) throw new Error('no stream');
  return stream;
};

test('a good run is valid and meets every target', () => {
  const result = judged(goodMeasurement());
  expect(broken(goodMeasurement())).toEqual([]);
  expect(isValid(result) && isMet(result)).toBe(true);
  expect(result.phases.map((phase) => phase.name)).toEqual(['alone', 'default', 'scx-slo', 'overload']);
  expect(result).toMatchObject({ environment: 'vm', clock: 'virtual', kernel: '7.3.4', cpus: 1 });
});

test("a phase has the format of the architecture, with checkout's figures", () => {
  const [alone, plain, , overload] = judged(goodMeasurement()).phases;
  expect(alone).toMatchObject({
    requests: 1504,
    sustained: true,
    p50Ms: 4,
    serviceCpuSeconds: 6.016,
    misses: 0,
    shed429: 0,
  });
  expect(plain).toMatchObject({
    sustained: false,
    servedPerSecond: 60,
    misses: 30,
    missesByReason: { sched: 30 },
  });
  expect(overload).toMatchObject({ misses: 12, shed429: 700 });
  expect(overload?.services).toEqual([
    expect.objectContaining({ name: 'checkout', importance: 90, shed429: 0 }),
    expect.objectContaining({ name: 'recommendations', importance: 40, shed429: 700, firstShedMs: 1200 }),
  ]);
  expect(overload?.services[0]).not.toHaveProperty('firstShedMs');
});

describe('a run is invalid when', () => {
  test('the service alone does not follow theory', () => {
    expect(
      broken(
        spoilt('alone', (phase) => {
          ofCheckout(phase).latenciesMs = ofCheckout(phase).latenciesMs.map((ms) => ms * 1.3);
        }),
      ),
    ).toContain('alone: agrees with queueing theory (M/D/1)');
  });
  test('two runs alone differ', () => {
    expect(
      broken(
        spoilt('alone again', (phase) => {
          ofCheckout(phase).latenciesMs = ofCheckout(phase).latenciesMs.map((ms) => ms * 1.06);
        }),
      ),
    ).toEqual(['alone: two runs of the same requests agree']);
  });
  test('a request does not cost what was calibrated', () => {
    expect(
      broken(
        spoilt('scx-slo', (phase) => {
          phase.cpu.services.checkout = 6.016 * 1.06;
        }),
      ),
    ).toEqual(['scx-slo: checkout costs what was calibrated']);
  });
  test('CPU time is missing or too much in a saturated phase', () => {
    for (const share of [0.96, 1.02])
      expect(
        broken(
          spoilt('default', (phase) => {
            phase.cpu.accountedShare = share;
          }),
        ),
      ).toEqual(["default: the cgroups' CPU adds up"]);
  });
  test('requests failed or were sent late', () => {
    expect(
      broken(
        spoilt('overload', (phase) => {
          ofCheckout(phase).failed = 1;
        }),
      ),
    ).toEqual(['overload: the load was what it should be']);
    expect(
      broken(
        spoilt('alone', (phase) => {
          ofCheckout(phase).maxLateMs = 21;
        }),
      ),
    ).toEqual(['alone: the load was what it should be']);
  });
  test('a phase is missing', () => {
    const measured = goodMeasurement();
    measured.phases = measured.phases.filter((phase) => phase.name !== 'overload');
    expect(broken(measured)).toEqual(['every phase ran']);
  });
});

describe('a target is missed when', () => {
  test('p99 under scx-slo is more than 1.5 x alone, or not sustained', () => {
    const target = 'scx-slo: p99 at most 1.5 x alone, and sustained';
    expect(
      broken(
        spoilt('scx-slo', (phase) => {
          ofCheckout(phase).latenciesMs = ofCheckout(phase).latenciesMs.map((ms) => ms * 1.5);
        }),
      ),
    ).toEqual([target]);
    expect(
      broken(
        spoilt('scx-slo', (phase) => {
          ofCheckout(phase).sustained = false;
        }),
      ),
    ).toEqual([target]);
  });
  test('the service keeps its p99 only by turning requests away', () => {
    const measured = spoilt('scx-slo', (phase) => {
      Object.assign(ofCheckout(phase), { served: 100, shed: 1404, firstShedMs: 0 });
    });
    expect(broken(measured)).toEqual(['scx-slo: p99 at most 1.5 x alone, and sustained']);
  });
  test('the default scheduler does well', () => {
    const name = 'default: not sustained, or p99 at least 5 x alone';
    const measured = goodMeasurement();
    const alone = measured.phases.find((phase) => phase.name === 'alone');
    const ms = alone === undefined ? [] : ofCheckout(alone).latenciesMs;
    const kind = (factor: number) =>
      spoilt('default', (phase) => {
        Object.assign(ofCheckout(phase), { sustained: true, latenciesMs: ms.map((value) => value * factor) });
      });
    expect(broken(kind(4.9))).toEqual([name]);
    expect(broken(kind(5.1))).toEqual([]);
  });
  test('batch gets too little', () => {
    expect(
      broken(
        spoilt('scx-slo', (phase) => {
          phase.cpu.batchSeconds = 8;
        }),
      ),
    ).toEqual(['scx-slo: batch gets at least 90 % of the CPU that the service leaves']);
  });
  test('the important service is shed first, or nobody is', () => {
    const name = 'overload: the less important service is told 429 first';
    expect(
      broken(
        spoilt('overload', (phase) => {
          Object.assign(ofCheckout(phase), { shed: 3, firstShedMs: 1000 });
        }),
      ),
    ).toContain(name);
    expect(
      broken(
        spoilt('overload', (phase) => {
          for (const stream of phase.load.streams) delete stream.firstShedMs;
        }),
      ),
    ).toContain(name);
  });
});

describe('the report', () => {
  test('has a row a phase and says what is not sustained', () => {
    const lines = table(judged(goodMeasurement())).split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[2]).toMatch(/^default +EEVDF +1504 +no \(60\/s\)/);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(markdown(judged(goodMeasurement()))).toContain('| scx-slo | sched_ext scx_slo | 1504 | yes |');
  });
  test('never hides an invalid run or a missed target', () => {
    const measured = spoilt('scx-slo', (phase) => {
      phase.cpu.accountedShare = 0.5;
      ofCheckout(phase).sustained = false;
    });
    expect(verdict(judged(measured))).toMatch(/Missed: scx-slo: p99.*INVALID/);
    expect(picture(measured, judged(measured))).toContain('INVALID RUN');
    expect(verdict(judged(goodMeasurement()))).not.toMatch(/Missed|INVALID/);
  });
  test('the picture has a curve a phase, and the budget', () => {
    const svg = picture(goodMeasurement(), judged(goodMeasurement()));
    expect(svg.match(/class="curve"/g)).toHaveLength(4);
    expect(svg).toContain('budget: 20 ms');
    expect(svg).toContain('40 % of the node, beside 12 busy');
  });
});

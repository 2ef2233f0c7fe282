import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.ts';
import { EXIT_CLASSES, exitClass, exitText } from './kernel/exit-kind.ts';
import {
  type Cause,
  causeOfExit,
  causeOfFailure,
  type Decision,
  decideRestart,
  FREE_HOTPLUGS,
  MAX_FAILURES,
  NO_MEMORY,
  type RestartMemory,
} from './restart-policy.ts';

const MINUTE_MS = 60_000;

interface Step {
  cause: Cause;
  /** Between the last decision and this. */
  ranMs: number;
  random: number;
}

/** Plays happenings one after another; each starts when the pause before it is over. */
const play = (steps: readonly Step[]): { atMs: number; decision: Decision; memory: RestartMemory }[] => {
  let nowMs = 1_000;
  let memory = NO_MEMORY;
  return steps.map(({ cause, ranMs, random }) => {
    nowMs += ranMs;
    const atMs = nowMs;
    const answer = decideRestart(memory, { cause, nowMs, ranMs, random });
    memory = answer.memory;
    if (answer.decision.action !== 'stayOff') nowMs += answer.decision.delayMs;
    return { atMs, ...answer };
  });
};

const failures = (...ranMs: number[]) =>
  play(ranMs.map((each) => ({ cause: 'failure', ranMs: each, random: 0.5 }))).map(({ decision }) => decision);

describe('failures', () => {
  it('are answered by longer and longer pauses, then not at all', () => {
    const pauses = failures(0, 0, 0, 0, 0);
    expect(pauses.slice(0, 4)).toEqual(
      [10_000, 30_000, 90_000, 270_000].map((delayMs) => ({ action: 'backOff', delayMs })),
    );
    expect(pauses[4]).toEqual({ action: 'stayOff', why: 'repeated-failure' });
  });

  it('that are rare never end it, and pauses stop growing at 15 minutes', () => {
    const twentyMinutes = Array.from({ length: 12 }, () => 20 * MINUTE_MS);
    const pauses = failures(...twentyMinutes);
    expect(pauses.every(({ action }) => action === 'backOff')).toBe(true);
    expect(pauses.at(-1)).toEqual({ action: 'backOff', delayMs: 15 * MINUTE_MS });
  });

  it('are forgotten by the back-off after a long healthy run', () => {
    expect(failures(0, 0, 30 * MINUTE_MS)[2]).toEqual({ action: 'backOff', delayMs: 10_000 });
    expect(failures(0, 0, 29 * MINUTE_MS)[2]).toEqual({ action: 'backOff', delayMs: 90_000 });
  });
});

describe('hotplug', () => {
  const storm = (times: number) =>
    play(Array.from({ length: times }, () => ({ cause: 'hotplug', ranMs: 1_000, random: 0.5 })));

  it('is answered at once, and a storm of it once a minute', () => {
    const decisions = storm(20).map(({ decision }) => decision);
    expect(decisions.slice(0, FREE_HOTPLUGS)).toEqual(
      Array.from({ length: FREE_HOTPLUGS }, () => ({ action: 'reload', delayMs: 0 })),
    );
    expect(decisions.at(-1)).toEqual({ action: 'reload', delayMs: MINUTE_MS });
  });

  it('is no failure', () => {
    const steps: Step[] = Array.from({ length: 8 }, () => ({ cause: 'hotplug', ranMs: 10, random: 0 }));
    const last = play([...steps, { cause: 'failure', ranMs: 10, random: 0.5 }]).at(-1);
    expect(last?.decision).toEqual({ action: 'backOff', delayMs: 10_000 });
  });
});

describe('whatever happens', () => {
  const step = fc.record<Step>({
    cause: fc.constantFrom('hotplug', 'failure', 'busy', 'operator', 'hopeless'),
    ranMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 * MINUTE_MS })),
    random: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it('no more failures are tried within an hour than allowed, and pauses stay in their bounds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const played = play(steps);
        for (const [index, { atMs, decision }] of played.entries()) {
          if (decision.action === 'backOff') {
            expect(decision.delayMs).toBeGreaterThanOrEqual(8_000);
            expect(decision.delayMs).toBeLessThanOrEqual(15 * MINUTE_MS);
            const hour = played
              .slice(0, index + 1)
              .filter((each, n) => steps[n]?.cause === 'failure' && each.atMs > atMs - 60 * MINUTE_MS);
            expect(hour.length).toBeLessThan(MAX_FAILURES);
          }
          const isForPeople = steps[index]?.cause === 'operator' || steps[index]?.cause === 'hopeless';
          if (isForPeople) expect(decision.action).toBe('stayOff');
        }
      }),
    );
  });

  it('reloads for hotplug are bounded in every ten minutes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const reloads = play(steps).filter(({ decision }) => decision.action === 'reload');
        for (const { atMs } of reloads) {
          const window = reloads.filter((each) => each.atMs >= atMs && each.atMs < atMs + 10 * MINUTE_MS);
          // the free ones, then one in at least 48 s
          expect(window.length).toBeLessThanOrEqual(FREE_HOTPLUGS + 1 + 600 / 48);
        }
      }),
    );
  });

  it('remembers no more than it needs', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const memory = play(steps).at(-1)?.memory ?? NO_MEMORY;
        expect(memory.failuresMs.length).toBeLessThanOrEqual(MAX_FAILURES);
        expect(memory.hotplugsMs.length).toBeLessThanOrEqual(FREE_HOTPLUGS);
      }),
    );
  });
});

describe('what an exit record means', () => {
  const exit = (kind: number, exitCode = 0n) => ({ kind, exitCode, reason: '', message: '', dump: '' });

  it.each([
    [exit(66, (1n << 48n) | (1n << 32n)), 'hotplug', 'hotplug'],
    [exit(67), 'sysrq', 'operator'],
    [exit(64), 'other', 'operator'],
    [exit(66), 'other', 'failure'],
    [exit(65), 'other', 'failure'],
    [exit(0), 'other', 'failure'],
    [exit(1024), 'error', 'failure'],
    [exit(1025), 'error', 'failure'],
    [exit(1026), 'stall', 'failure'],
    [exit(1028), 'error', 'failure'],
  ])('%o is %s: %s', (record, label, cause) => {
    expect(exitClass(record)).toBe(label);
    expect(causeOfExit(record)).toBe(cause);
  });

  it('has one of few labels for every kind that a kernel may come up with', () => {
    fc.assert(
      fc.property(fc.nat(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (kind, code) => {
        expect(EXIT_CLASSES).toContain(exitClass(exit(kind, code)));
      }),
    );
  });

  it('reads as text', () => {
    expect(exitText({ ...exit(1026), reason: 'runnable task stall', message: 'sh[7] failed to run' })).toBe(
      'runnable task stall: sh[7] failed to run',
    );
    expect(exitText(exit(99))).toBe('exit kind 99');
  });

  it.each([
    ['SLO_E_HOTPLUG', 'hotplug'],
    ['SLO_E_OTHER_SCHEDULER', 'busy'],
    ['SLO_E_ATTACH', 'failure'],
    ['SLO_E_BPF_LOAD', 'failure'],
    ['SLO_E_ATTACH_HANG', 'hopeless'],
    ['SLO_E_ABI', 'hopeless'],
  ])('%s at loading: %s', (code, cause) => {
    expect(causeOfFailure(failure(code, '', '', ''))).toBe(cause);
  });
});

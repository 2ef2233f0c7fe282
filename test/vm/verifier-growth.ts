// What the kernel's verifier had to do for each program, and whether that grew. Pure.
//
// The verifier follows every path of a program and gives up after a million instructions; how far a program is from
// that, and how long loading takes, shows in these figures long before a load fails.

export interface ProgramCost {
  /** Instructions that the verifier followed, not those of the program. */
  readonly insns: number;
  readonly states: number;
  readonly peakStates: number;
  /** Bytes of stack: of the deepest chain of calls where the kernel says that (7.3), else of the largest function. */
  readonly stackDepth: number;
}

/** Figures of one kernel; names are `<object>/<program>`. */
export type VerifierCosts = Readonly<Record<string, ProgramCost>>;

/** docs/perf/verifier-cost.json: by Debian's ABI name of the kernel, `7.3.4+deb13`. */
export type CommittedCosts = Readonly<Record<string, VerifierCosts>>;

export const ALLOWED_GROWTH = 0.2;
/** A small program may double with one more branch: less than this is no growth. */
export const ALLOWED_INSNS = 500;

/** `7.3.4+deb13-cloud-amd64` -> `7.3.4+deb13`. */
export const abiOfRelease = (release: string): string => release.replace(/-(cloud-)?(amd64|arm64)$/, '');

/** The verifier's text with BPF_LOG_STATS; undefined: it is not one. */
export function parseVerifierStats(text: string): ProgramCost | undefined {
  const figure = (pattern: RegExp): number | undefined => {
    const found = pattern.exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const insns = figure(/^processed (\d+) insns/m);
  const states = figure(/\btotal_states (\d+)/);
  const peakStates = figure(/\bpeak_states (\d+)/);
  // `stack depth max 32`; before 7.3 one number for each function: `stack depth 32+0`
  const stack = /^stack depth (?:max )?([\d+]+)/m.exec(text)?.[1];
  if (insns === undefined || states === undefined || peakStates === undefined || stack === undefined)
    return undefined;
  return { insns, states, peakStates, stackDepth: Math.max(...stack.split('+').map(Number)) };
}

/**
 * One line for each program that grew by more than a fifth and 500 instructions, or that has no committed figure, or
 * that is committed and gone. Empty: nothing to do.
 */
export function growthOf(committed: VerifierCosts, now: VerifierCosts): string[] {
  const complaints: string[] = [];
  for (const [name, cost] of Object.entries(now)) {
    const before = committed[name];
    if (before === undefined)
      complaints.push(`${name}: no figure is committed (now ${cost.insns} instructions)`);
    else if (hasGrown(before.insns, cost.insns)) {
      const percent = Math.round((cost.insns / before.insns - 1) * 100);
      complaints.push(`${name}: ${before.insns} -> ${cost.insns} instructions (+${percent} %)`);
    }
  }
  for (const name of Object.keys(committed))
    if (now[name] === undefined)
      complaints.push(`${name}: a figure is committed, but the program is not loaded`);
  return complaints;
}

const hasGrown = (before: number, now: number): boolean =>
  now - before > ALLOWED_INSNS && now > before * (1 + ALLOWED_GROWTH);

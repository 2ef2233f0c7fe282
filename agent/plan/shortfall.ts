/** Says once which pods do not get the CPU that they need in the deadline tier, and once that they do again. Pure. */

/** For one owner of credit, now. */
export interface Served {
  /** Stable for the pod or path. */
  name: string;
  importance: number;
  /** Part of its demand that is reserved, 0 .. 1. */
  ratio: number;
  demandCpus: number;
  grantedCpus: number;
}

export interface ShortfallNews {
  kind: 'short' | 'recovered';
  served: Served;
}

interface State {
  isShort: boolean;
  /** Since when the ratio says the opposite; undefined: it agrees. */
  turnedAtMs: number | undefined;
}

/** Above it a moment's noise would make a story of nothing. */
const SHORT_RATIO = 0.95;
const RECOVERED_RATIO = 0.99;
const LASTING_MS = 3_000;

export class Shortfalls {
  /** Of those that are short, or seem to become so. */
  #states = new Map<string, State>();

  /** There is nothing to say while everybody gets what it needs. */
  get isEmpty(): boolean {
    return this.#states.size === 0;
  }

  /** @param served all that claim now; who is missing is forgotten without a word. */
  update(served: Iterable<Served>, nowMs: number): ShortfallNews[] {
    const news: ShortfallNews[] = [];
    const states = new Map<string, State>();
    for (const one of served) {
      const state = this.#states.get(one.name) ?? { isShort: false, turnedAtMs: undefined };
      if (!state.isShort && one.ratio >= SHORT_RATIO) continue;
      states.set(one.name, state);
      const turns = state.isShort ? one.ratio >= RECOVERED_RATIO : one.ratio < SHORT_RATIO;
      if (!turns) {
        state.turnedAtMs = undefined;
        continue;
      }
      state.turnedAtMs ??= nowMs;
      if (nowMs - state.turnedAtMs < LASTING_MS) continue;
      state.isShort = !state.isShort;
      state.turnedAtMs = undefined;
      news.push({ kind: state.isShort ? 'short' : 'recovered', served: one });
    }
    this.#states = states;
    return news;
  }
}

/** How much one caller, and all of them, may ask. No clock of its own. */

/** Calls a second, per caller and in all. */
export class RateLimit {
  readonly #perCaller: number;
  readonly #inAll: number;
  readonly #calls = new Map<string, number>();
  #total = 0;
  #second = 0;

  constructor(perCaller: number, inAll: number) {
    this.#perCaller = perCaller;
    this.#inAll = inAll;
  }

  /** Counts one call. @returns is it over a limit; `flood`: over twice the caller's. */
  take(caller: string, nowMs: number): 'within' | 'over' | 'flood' {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#calls.clear();
      this.#total = 0;
    }
    const calls = (this.#calls.get(caller) ?? 0) + 1;
    this.#calls.set(caller, calls);
    this.#total += 1;
    if (calls >= 2 * this.#perCaller) return 'flood';
    return calls > this.#perCaller || this.#total > this.#inAll ? 'over' : 'within';
  }
}

/** Things that stay open, per caller and in all: long polls, streams. */
export class OpenLimit {
  readonly #perCaller: number;
  readonly #inAll: number;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(perCaller: number, inAll: number) {
    this.#perCaller = perCaller;
    this.#inAll = inAll;
  }

  get total(): number {
    return this.#total;
  }

  /** @returns how to give it back (twice does no harm); undefined: too many are open. */
  open(caller: string): (() => void) | undefined {
    const mine = this.#open.get(caller) ?? 0;
    if (mine >= this.#perCaller || this.#total >= this.#inAll) return undefined;
    this.#open.set(caller, mine + 1);
    this.#total += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#total -= 1;
      const left = (this.#open.get(caller) ?? 1) - 1;
      if (left === 0) this.#open.delete(caller);
      else this.#open.set(caller, left);
    };
  }
}

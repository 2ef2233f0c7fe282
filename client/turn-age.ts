/**
 * How long this turn of the event loop has been handling requests: all that were ready when it began have waited for
 * at least that long. Where handlers use CPU this is the queue in front of them, known for each request at once; a timer
 * would tell of it only when the turn is over.
 */
export class TurnAge {
  #sinceMs: number | undefined;
  #ageMs = 0;
  #beforeMs = 0;

  /** @returns ms since the first call in this turn. */
  atMs(nowMs: number): number {
    if (this.#sinceMs === undefined) {
      this.#sinceMs = nowMs;
      // Immediates run right after the poll phase, which hands out all that is ready.
      setImmediate(() => {
        this.#sinceMs = undefined;
        this.#beforeMs = this.#ageMs;
      }).unref();
    }
    this.#ageMs = nowMs - this.#sinceMs;
    return this.#ageMs;
  }

  /** How far the turn before had come with its last request, ms. */
  get beforeMs(): number {
    return this.#beforeMs;
  }
}

/** A budget is for waiting, not for work: below this some requests that came together would already be too much. */
const LEAST_BUDGET_MS = 50;

/**
 * Share to reject of requests that are handled so late in their turn. Their successors arrive meanwhile and wait as long
 * again, so one long turn after the other may take half of the budget on average and three quarters at most; a first one,
 * which may be a burst and no overload, all of it.
 * @param beforeMs how long the turn before was.
 */
export const shedInTurn = (ageMs: number, beforeMs: number, budgetMs: number): number => {
  const limitMs = Math.max(LEAST_BUDGET_MS, budgetMs);
  const fromMs = limitMs * (beforeMs > limitMs / 4 ? 0.25 : 1);
  return Math.min(1, Math.max(0, (ageMs - fromMs) / (limitMs / 2)));
};

/**
 * How long this turn of the event loop has been handling requests: all that were ready when it began have waited for
 * at least that long. Where handlers use CPU this is the queue in front of them, known for each request at once; a timer
 * would tell of it only when the turn is over.
 */
export class TurnAge {
  #sinceMs: number | undefined;

  /** @returns ms since the first call in this turn. */
  atMs(nowMs: number): number {
    if (this.#sinceMs === undefined) {
      this.#sinceMs = nowMs;
      // Immediates run right after the poll phase, which hands out all that is ready.
      setImmediate(() => {
        this.#sinceMs = undefined;
      }).unref();
    }
    return nowMs - this.#sinceMs;
  }
}

/**
 * Share to reject of requests that are handled so late in their turn. Their successors arrive meanwhile and wait as long
 * again, so a turn may take half of the budget on average and three quarters at most.
 */
export const shedInTurn = (ageMs: number, budgetMs: number | undefined): number =>
  budgetMs === undefined ? 0 : Math.min(1, Math.max(0, ageMs / budgetMs - 0.25) * 2);

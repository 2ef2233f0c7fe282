/** Says a lasting problem once, when it comes, and again only when it went away and came back. */

export class ProblemLog {
  readonly #known = new Map<string, Set<string>>();
  readonly #say: (kind: string, problem: string) => void;

  constructor(say: (kind: string, problem: string) => void) {
    this.#say = say;
  }

  /** @param problems all that there are of this kind now, as texts. */
  update(kind: string, problems: Iterable<string>): void {
    const known = this.#known.get(kind);
    const now = new Set(problems);
    if (now.size === 0) {
      this.#known.delete(kind);
      return;
    }
    for (const problem of now) if (known?.has(problem) !== true) this.#say(kind, problem);
    this.#known.set(kind, now);
  }
}

/** Runs one thing at a time; asked while it runs, it runs once more. */
export class SerialRunner {
  readonly #run: () => Promise<void>;
  #running: Promise<void> | undefined;
  #asked = 0;

  /** @param run must not throw. */
  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  request(): void {
    this.#asked += 1;
    this.#running ??= this.#runAll();
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #runAll(): Promise<void> {
    let served = 0;
    while (served !== this.#asked) {
      served = this.#asked;
      await this.#run();
    }
    this.#asked = 0;
    this.#running = undefined;
  }
}

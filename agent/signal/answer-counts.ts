/** How many answers each caller got: for the agent's metrics, in portions, and in all. */
import type { SignalCounts } from './handler.ts';
import type { AnswerCount, SignalMessage } from './wire.ts';

export class AnswerCounts implements SignalCounts {
  allowed = 0;
  denied = 0;
  unknown = 0;
  #unsent = new Map<string, AnswerCount>();
  #unsentUnknown = 0;

  onDecision(key: string, denied: boolean): void {
    const count = this.#unsent.get(key) ?? { key, allowed: 0, denied: 0 };
    this.#unsent.set(key, count);
    if (denied) {
      this.denied += 1;
      count.denied += 1;
    } else {
      this.allowed += 1;
      count.allowed += 1;
    }
  }

  onUnknown(): void {
    this.unknown += 1;
    this.#unsentUnknown += 1;
  }

  /** @param send returns whether the message is on its way; what is not stays for the next time. */
  flush(send: (message: SignalMessage) => boolean): void {
    if (this.#unsent.size === 0 && this.#unsentUnknown === 0) return;
    const answers = [...this.#unsent.values()];
    if (!send({ t: 'answers', answers, unknown: this.#unsentUnknown })) return;
    this.#unsent = new Map();
    this.#unsentUnknown = 0;
  }
}

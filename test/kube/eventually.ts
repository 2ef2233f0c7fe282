import { setTimeout as sleep } from 'node:timers/promises';

/** Who waits for long asks less often: what is waited for needs the CPU, too. */
const TRIES = 400;
const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [50, 1_000];

/** Asks again until there is an answer; throws with the last error when that takes too long. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  const endMs = performance.now() + limitMs;
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, limitMs / TRIES));
  let problem = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      problem = '';
    } catch (error) {
      problem = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > endMs) throw new Error(`not within ${limitMs / 1000} s: ${what}${problem}`);
    await sleep(pauseMs);
  }
}

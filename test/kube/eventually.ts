import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again until there is an answer; throws with the last error when that takes too long. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  const endMs = performance.now() + limitMs;
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
    await sleep(50);
  }
}

/** CPUs come and go in groups: one reload for all that follow one another closely, but not waiting for ever. */

const LOOK_MS = 50;
const QUIET_MS = 300;
const LIMIT_MS = 5_000;

/** Resolves when no CPU has come or gone for a moment. @param changes counts them. */
export const untilCpusSettle = async (changes: () => bigint | undefined, end: AbortSignal): Promise<void> => {
  const startMs = performance.now();
  let seen = changes();
  let quietSinceMs = startMs;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const nowMs = performance.now();
    const now = changes();
    if (now !== seen) quietSinceMs = nowMs;
    seen = now;
    if (end.aborted || nowMs - quietSinceMs >= QUIET_MS || nowMs - startMs >= LIMIT_MS) return;
  }
};

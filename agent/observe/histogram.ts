/** The run-delay histogram of the kernel side (bpf/abi.h: SLO_HIST_BUCKETS): below 1 us, then two buckets an octave. */

export const HIST_BUCKETS = 40;

const US = 1_000;

/** Upper bound of a bucket in ns, exclusive; the last one has none. */
export const upperBoundNs = (bucket: number): number => {
  if (bucket >= HIST_BUCKETS - 1) return Number.POSITIVE_INFINITY;
  return bucket === 0 ? US : lowerBoundNs(bucket + 1);
};

/** Lower bound of a bucket in ns, inclusive. */
export const lowerBoundNs = (bucket: number): number => {
  if (bucket === 0) return 0;
  const octave = (bucket - 1) >> 1;
  const isUpperHalf = (bucket - 1) % 2 === 1;
  return 2 ** octave * (isUpperHalf ? 1.5 : 1) * US;
};

/** As the kernel side computes it. */
export const bucketOf = (waitNs: number): number => {
  const halfUs = Math.floor(waitNs / (US / 2));
  if (halfUs < 2) return 0;
  const octave = Math.floor(Math.log2(halfUs));
  const isUpperHalf = Math.floor(halfUs / 2 ** (octave - 1)) % 2;
  return Math.min(2 * octave - 1 + isUpperHalf, HIST_BUCKETS - 1);
};

/** `into += now - before`, each count modulo 2^32, as the kernel's counters wrap. */
export const addDelta = (into: Float64Array | Uint32Array, now: Uint32Array, before: Uint32Array): void => {
  for (let bucket = 0; bucket < HIST_BUCKETS; bucket += 1) {
    into[bucket] = (into[bucket] ?? 0) + (((now[bucket] ?? 0) - (before[bucket] ?? 0)) >>> 0);
  }
};

export const countOf = (hist: ArrayLike<number>): number => {
  let count = 0;
  for (let bucket = 0; bucket < HIST_BUCKETS; bucket += 1) count += hist[bucket] ?? 0;
  return count;
};

/**
 * @param q 0 .. 1
 * @returns ns, interpolated within its bucket (the last bucket answers with its lower bound); 0 for an empty one.
 */
export const quantileNs = (hist: ArrayLike<number>, q: number): number => {
  const rank = countOf(hist) * q;
  if (rank <= 0) return 0;
  let below = 0;
  for (let bucket = 0; bucket < HIST_BUCKETS; bucket += 1) {
    const inside = hist[bucket] ?? 0;
    if (inside > 0 && below + inside >= rank) {
      const lower = lowerBoundNs(bucket);
      const upper = upperBoundNs(bucket);
      return Number.isFinite(upper) ? lower + ((upper - lower) * (rank - below)) / inside : lower;
    }
    below += inside;
  }
  return lowerBoundNs(HIST_BUCKETS - 1);
};

/**
 * Buckets after which a Prometheus `le` bound is shown: 16 us, 64 us, 256 us, then every octave to 524 ms. They are
 * bounds of the kernel's buckets, so no count is split.
 */
export const EXPORTED_BUCKETS: readonly number[] = [8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38];

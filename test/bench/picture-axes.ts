/** Axes of a percentile picture: where a percentile or a latency lies, and which ones get a label. */

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** -log10(1 - share): 90 % is 1, 99 % is 2, 99.9 % is 3, so that the tail gets as much room as the body. */
export const nines = (share: number): number => -Math.log10(1 - share);

export const PERCENTILE_TICKS = [0, 0.5, 0.9, 0.99, 0.999].map((share) => ({
  share,
  label: share === 0 ? 'fastest' : `${Number((share * 100).toFixed(1))} %`,
}));

const LAST_NINES = 3;

export const percentileAxis =
  ({ left, right }: Box) =>
  (share: number): number =>
    left + (Math.min(nines(share), LAST_NINES) / LAST_NINES) * (right - left);

export interface LatencyAxis {
  y(latencyMs: number): number;
  ticks: { ms: number; label: string }[];
}

/** `5 ms`, `1.2 s`. */
export const latencyText = (ms: number): string => {
  const [value, unit] = ms >= 1000 ? [ms / 1000, 's'] : [ms, 'ms'];
  return `${value >= 10 ? Math.round(value) : Number(value.toFixed(1))} ${unit}`;
};

/** Logarithmic, with round ticks (1, 2, 5 a decade; 1 only where the range is wide), around all the values. */
export const latencyAxis = ({ top, bottom }: Box, lowestMs: number, highestMs: number): LatencyAxis => {
  const low = Math.log10(lowestMs / 1.3);
  const high = Math.log10(highestMs * 1.3);
  const steps = high - low > 3 ? [1] : [1, 2, 5];
  const ticks: LatencyAxis['ticks'] = [];
  for (let decade = Math.floor(low); decade <= high; decade += 1) {
    for (const step of steps) {
      const ms = step * 10 ** decade;
      if (Math.log10(ms) >= low && Math.log10(ms) <= high) ticks.push({ ms, label: latencyText(ms) });
    }
  }
  return { y: (ms) => bottom - ((Math.log10(ms) - low) / (high - low)) * (bottom - top), ticks };
};

/** Moves labels apart, the least possible, so that none is nearer than `gap` to the next; keeps their order. */
export const spreadLabels = (wantedY: readonly number[], gap: number, bottom: number): number[] => {
  const order = wantedY.map((y, index) => ({ y, index })).sort((a, b) => a.y - b.y);
  for (const [place, label] of order.entries()) {
    const above = order[place - 1];
    if (above !== undefined) label.y = Math.max(label.y, above.y + gap);
  }
  let limit = bottom;
  for (const label of order.toReversed()) {
    label.y = Math.min(label.y, limit);
    limit = label.y - gap;
  }
  const spread = new Array<number>(wantedY.length).fill(0);
  for (const { y, index } of order) spread[index] = y;
  return spread;
};

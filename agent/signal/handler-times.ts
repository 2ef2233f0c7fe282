/** How long requests held the event loop, as a Prometheus histogram. */

import type { MetricSpec } from '../../slo/metric-spec.ts';
import { headerText } from '../observe/exposition.ts';

const BOUNDS_US = [10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1_000, 2_500, 10_000, 100_000];

export class HandlerTimes {
  readonly #counts = new Float64Array(BOUNDS_US.length + 1);
  #sumMs = 0;

  add(ms: number): void {
    const us = ms * 1_000;
    let bucket = 0;
    while (bucket < BOUNDS_US.length && us > (BOUNDS_US[bucket] ?? 0)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs += ms;
  }

  text(spec: MetricSpec): string {
    let count = 0;
    const lines = [...this.#counts].map((inBucket, bucket) => {
      count += inBucket;
      const bound = BOUNDS_US[bucket];
      const le = bound === undefined ? '+Inf' : String(bound / 1e6);
      return `${spec.name}_bucket{le="${le}"} ${count}\n`;
    });
    const sum = `${spec.name}_sum ${this.#sumMs / 1e3}\n${spec.name}_count ${count}\n`;
    return headerText(spec) + lines.join('') + sum;
  }
}

/** What of a round the other side does not have yet. Pure. */
import type { PodLevel } from '../shed/feed.ts';
import type { LevelUpdate } from './level-table.ts';

/** What callers are told changes at once; the reasons and numbers behind it once in so many rounds. */
const ROUNDS_PER_DETAIL = 5;

const tellsTheSame = (a: PodLevel, b: PodLevel): boolean =>
  a.shedRatio === b.shedRatio &&
  a.computedRatio === b.computedRatio &&
  a.state === b.state &&
  a.importance === b.importance &&
  a.podIps.length === b.podIps.length &&
  a.podIps.every((ip, index) => ip === b.podIps[index]);

export class RoundDelta {
  #sent = new Map<string, PodLevel>();
  #round = 0;

  /** @returns the difference to the round before. */
  next(levels: readonly PodLevel[]): LevelUpdate {
    this.#round += 1;
    const now = new Map(levels.map((level) => [level.key, level]));
    const gone = [...this.#sent.keys()].filter((key) => !now.has(key));
    const changed = levels.filter((level, index) => {
      const before = this.#sent.get(level.key);
      const isTurn = index % ROUNDS_PER_DETAIL === this.#round % ROUNDS_PER_DETAIL;
      return before === undefined || isTurn || !tellsTheSame(level, before);
    });
    this.#sent = now;
    return { full: false, levels: changed, gone };
  }
}

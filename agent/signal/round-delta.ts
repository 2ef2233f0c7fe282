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
  readonly #sent = new Map<string, PodLevel>();
  #round = 0;

  /** @returns the difference to the round before; a level that is the same object as before is no news. */
  next(levels: readonly PodLevel[]): LevelUpdate {
    this.#round += 1;
    const changed = levels.filter((level, index) => {
      const sent = this.#sent.get(level.key);
      if (sent === level) return false;
      const isTurn = index % ROUNDS_PER_DETAIL === this.#round % ROUNDS_PER_DETAIL;
      return sent === undefined || isTurn || !tellsTheSame(level, sent);
    });
    for (const level of changed) this.#sent.set(level.key, level);
    return { full: false, levels: changed, gone: this.#gone(levels) };
  }

  #gone(levels: readonly PodLevel[]): string[] {
    if (this.#sent.size === levels.length) return [];
    const now = new Set(levels.map(({ key }) => key));
    const gone = [...this.#sent.keys()].filter((key) => !now.has(key));
    for (const key of gone) this.#sent.delete(key);
    return gone;
  }
}

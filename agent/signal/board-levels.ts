/** The board's levels in the words of the feed. Pure. */
import type { PodLevel } from '../shed/feed.ts';
import type { LevelBoard } from '../shed/level-board.ts';
import { podKey } from './callers.ts';

const POD = podKey('');

/** @param addressesOf addresses that are that pod's alone. */
export const levelsOf = (
  board: LevelBoard,
  importance: ReadonlyMap<string, number>,
  addressesOf: (key: string) => readonly string[],
): PodLevel[] =>
  [...importance.keys()].flatMap((key): PodLevel[] => {
    const level = board.get(key);
    if (level === undefined) return [];
    return [
      {
        key,
        podUid: key.startsWith(POD) ? key.slice(POD.length) : '',
        podIps: addressesOf(key),
        importance: level.importance,
        shedRatio: level.shed,
        computedRatio: level.shed,
        state: level.state,
        reason: level.reason,
        inputs: {
          budgetMs: 0,
          waitP95Ms: 0,
          missRatio: 0,
          pressure: null,
          throttled: 0,
          queueWaitMs: null,
          severity: 0,
          nodeBusy: 0,
          demandCpus: 0,
        },
      },
    ];
  });

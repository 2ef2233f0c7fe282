/** What brings the level here, and who gets it. */
import type { Level } from './level.ts';

export interface LevelSink {
  onLevel(level: Level): void;
  /** What came last still stands. */
  onConfirm(): void;
}

export interface Follower {
  close(): void;
}

/** Every scenario of `make bench`, in the order in which they run. */
import type { Scenario } from '../scenario.ts';
import { noisyNeighbour, noisyNeighbourWall } from './noisy-neighbour.ts';

export const SCENARIOS: readonly Scenario[] = [noisyNeighbour, noisyNeighbourWall];

/** Every scenario of `make bench`, in the order in which they run. */
import type { Scenario } from '../scenario.ts';
import { aboveRequest } from './above-request.ts';
import { batchWait } from './batch-wait.ts';
import { insideShare } from './inside-share.ts';
import { lightLoad, lightLoadWall } from './light-load.ts';
import { limits, limitsWall } from './limits.ts';
import { lyingHog } from './lying-hog.ts';
import { manySmall } from './many-small.ts';
import { noisyNeighbour, noisyNeighbourWall } from './noisy-neighbour.ts';
import { overhead, scale, scaleCost } from './overhead.ts';
import { overload } from './overload.ts';
import { packing } from './packing.ts';
import { weights, weightsWall } from './weights.ts';

export const SCENARIOS: readonly Scenario[] = [
  noisyNeighbour,
  insideShare,
  aboveRequest,
  manySmall,
  lyingHog,
  weights,
  limits,
  overload,
  batchWait,
  packing,
  lightLoad,
  overhead,
  scaleCost,
  noisyNeighbourWall,
  weightsWall,
  limitsWall,
  lightLoadWall,
  scale,
];

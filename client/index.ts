/** @scx-slo/client: reject early what the node cannot serve in time. */
import type { ShedderOptions } from './options.ts';
import { Shedder } from './shedder.ts';

export type { Wish } from './cursor.ts';
export type { ExpressMiddleware } from './express.ts';
export {
  type FastifyLike,
  type FastifyReplyLike,
  type FastifyRequestLike,
  type FastifyShedOptions,
  scxSloFastify,
} from './fastify.ts';
export type { HttpListener } from './http.ts';
export type { ShedState } from './level.ts';
export type { ShedMetrics } from './metrics.ts';
export type { Decision, LocalOptions, ShedderOptions } from './options.ts';
export type { RequestOptions } from './request-rules.ts';
export { Shedder, type ShedEvent } from './shedder.ts';

/** Starts to follow the signal. Never throws; close() stops it. */
export const createShedder = (options?: ShedderOptions): Shedder => new Shedder(options);

/** Express, 4 and 5, and whatever else takes (request, response, next). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpGate } from './http.ts';
import type { RequestOptions } from './request-rules.ts';
import type { Shedder } from './shedder.ts';

export type ExpressMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** A router under a path cuts `url`; the whole of it is in `originalUrl`. */
const originalUrlOf = (request: IncomingMessage & { originalUrl?: unknown }): string | undefined =>
  typeof request.originalUrl === 'string' ? request.originalUrl : request.url;

export const expressMiddleware = (
  shedder: Shedder,
  options: RequestOptions | undefined,
): ExpressMiddleware => {
  const gate = new HttpGate(shedder, options, originalUrlOf);
  return (request, response, next) => gate.pass(request, response, () => next());
};

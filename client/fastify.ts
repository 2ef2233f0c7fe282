/**
 * Plugin for Fastify, 4 and 5: decides in onRequest, before any body is read. Adds `isShedding()` and `shedLevel()`.
 * A route may say `config: { shed: { exempt: true } }` or `config: { shed: { priority: 0.9 } }`.
 */
import type { IncomingMessage } from 'node:http';
import type { ShedderOptions } from './options.ts';
import { type RequestOptions, RequestRules, rejectionHeaders } from './request-rules.ts';
import { Shedder } from './shedder.ts';

/** What of Fastify's request is used here. */
export interface FastifyRequestLike {
  raw: IncomingMessage;
  url: string;
  routeOptions?: { config?: unknown };
}

/** What of Fastify's reply is used here. */
export interface FastifyReplyLike {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(payload?: unknown): unknown;
  sent: boolean;
  raw: { once(event: 'close', listener: () => void): unknown };
}

/** What of Fastify's instance is used here. */
export interface FastifyLike {
  decorate(name: string, value: unknown): unknown;
  addHook(name: 'onRequest', hook: (request: never, reply: never, done: () => void) => void): unknown;
  addHook(name: 'onClose', hook: (instance: never, done: () => void) => void): unknown;
}

export interface FastifyShedOptions extends ShedderOptions, RequestOptions<FastifyRequestLike> {
  /** One that exists already, and that its owner closes; otherwise one is made of the other options. */
  shedder?: Shedder | undefined;
  /** Answers a request that is to be shed in its own way, or does nothing to let it pass. */
  pressureHandler?:
    | ((request: FastifyRequestLike, reply: FastifyReplyLike, type: 'shed', level: number) => void)
    | undefined;
}

interface RouteShed {
  exempt?: unknown;
  priority?: unknown;
}

const routeShedOf = (request: FastifyRequestLike): RouteShed => {
  const config = request.routeOptions?.config as { shed?: RouteShed } | undefined;
  return typeof config?.shed === 'object' && config.shed !== null ? config.shed : {};
};

class FastifyGate {
  readonly #shedder: Shedder;
  readonly #options: FastifyShedOptions;
  readonly #rules: RequestRules<FastifyRequestLike>;

  constructor(shedder: Shedder, options: FastifyShedOptions) {
    this.#shedder = shedder;
    this.#options = options;
    this.#rules = new RequestRules(options, (request) => request.url);
  }

  pass(request: FastifyRequestLike, reply: FastifyReplyLike, done: () => void): void {
    const route = routeShedOf(request);
    if (route.exempt === true || this.#rules.isExempt(request)) {
      done();
      return;
    }
    const wish = this.#rules.wishOf(request);
    if (typeof route.priority === 'number') wish.priority ??= route.priority;
    if (!this.#shedder.asksEach) {
      this.#settle(this.#shedder.shouldShed(wish), request, reply, done);
      return;
    }
    void this.#shedder.decide(wish).then((shed) => {
      setImmediate(() => this.#settle(shed, request, reply, done));
    });
  }

  #settle(shed: boolean, request: FastifyRequestLike, reply: FastifyReplyLike, done: () => void): void {
    if (shed && this.#answered(request, reply)) {
      this.#rules.onShed(request);
      return;
    }
    reply.raw.once('close', this.#shedder.begin());
    done();
  }

  #answered(request: FastifyRequestLike, reply: FastifyReplyLike): boolean {
    const { pressureHandler } = this.#options;
    const { level, retryAfterMs } = this.#shedder;
    if (pressureHandler === undefined) {
      reply.code(this.#rules.status);
      reply.headers(rejectionHeaders(retryAfterMs));
      reply.send();
      return true;
    }
    pressureHandler(request, reply, 'shed', level);
    return reply.sent;
  }
}

/** `fastify.register(scxSloFastify, { ... })` */
export const scxSloFastify = (fastify: FastifyLike, options: FastifyShedOptions, done: () => void): void => {
  const { shedder = new Shedder(options) } = options;
  fastify.decorate('isShedding', () => shedder.level > 0);
  fastify.decorate('shedLevel', () => shedder.level);
  const gate = new FastifyGate(shedder, options);
  fastify.addHook('onRequest', (request: FastifyRequestLike, reply: FastifyReplyLike, next: () => void) =>
    gate.pass(request, reply, next),
  );
  fastify.addHook('onClose', (_instance: unknown, next: () => void) => {
    if (options.shedder === undefined) shedder.close();
    next();
  });
  done();
};

// For all routes, not only those of a scope of its own; this is what the package fastify-plugin sets.
Object.assign(scxSloFastify, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: '@scx-slo/client',
});

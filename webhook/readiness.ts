/**
 * When a replica should get requests.
 *
 * - An expired certificate: no. Every call would fail its handshake, and another replica may have a good one.
 * - Before the first list of namespaces: no, for a while, so that a rolling update does not put a replica that knows no
 *   caps in the place of one that does. Then yes: with the built-in caps it still writes records and warns.
 * - A stale list: yes. The watch breaks for all replicas at once (the API server is restarting); if they left the
 *   Service together, pods would be admitted with no record and no warning, which helps nobody, while with a stale list
 *   no pod gets more than the built-in caps. The metric and the body of /readyz say so.
 */
import type { NamespaceView } from './namespace-view.ts';

export interface ReadinessInput {
  /** End of the serving certificate. */
  notAfter(): Date;
  namespaces: NamespaceView;
  /** How long a new replica waits for its first list. */
  graceMs: number;
}

export interface Readiness {
  /** Why this replica should get no traffic; undefined: it should. */
  notReady(): string | undefined;
  /** What an operator should know all the same; empty: nothing. */
  remark(): string;
}

/** The grace begins now. */
export function readiness(input: ReadinessInput, now: () => number = Date.now): Readiness {
  const startedAtMs = now();
  return {
    notReady: () => {
      if (input.notAfter().getTime() <= now()) {
        return 'the certificate has expired';
      }
      return input.namespaces.state() === 'unsynced' && now() - startedAtMs < input.graceMs
        ? 'waiting for the first list of namespaces'
        : undefined;
    },
    remark: () => {
      const state = input.namespaces.state();
      return state === 'unsynced' || state === 'stale' ? `namespaces: ${state}, the built-in caps hold` : '';
    },
  };
}

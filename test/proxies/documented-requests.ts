/**
 * What proxies that are not run here ask the signal, by their own documentation and source, for one request of an end
 * user; and what they make of the answer. Prefixes are those of the shipped snippets.
 */

export interface UserRequest {
  method: string;
  /** With the query, as it came. */
  target: string;
  headers: Readonly<Record<string, string>> & { Host: string };
  body: string;
}

export interface Question {
  method: string;
  target: string;
  headers: Record<string, string>;
}

export type Outcome = 'serve' | 'deny' | 'fail';

export interface DocumentedProxy {
  name: string;
  ask: (request: UserRequest) => Question;
  /** With the snippet's settings; `fail` is an error towards the end user. undefined: no answer in time. */
  outcome: (status: number | undefined) => Outcome;
}

const only = (headers: UserRequest['headers'], names: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name.toLowerCase())));

/** ext_authz over HTTP: own method, prefix and path and query; Host, Authorization; an empty body. */
const extAuthz = ({ method, target, headers }: UserRequest): Question => ({
  method,
  target: `/v1/shed${target}`,
  headers: { ...only(headers, ['host', 'authorization']), 'Content-Length': '0' },
});

/** 200 alone allows; 5xx and silence are errors, which failure_mode_allow turns into allowing. */
const envoyOutcome = (status: number | undefined): Outcome =>
  status === undefined || status === 200 || status >= 500 ? 'serve' : 'deny';

const FORWARDED = ({ method, target, headers }: UserRequest): Record<string, string> => ({
  'X-Forwarded-Method': method,
  'X-Forwarded-Proto': 'http',
  'X-Forwarded-Host': headers.Host,
  'X-Forwarded-Uri': target,
  'X-Forwarded-For': '10.1.2.3',
});

export const DOCUMENTED_PROXIES: readonly DocumentedProxy[] = [
  { name: 'envoy', ask: extAuthz, outcome: envoyOutcome },
  { name: 'istio', ask: extAuthz, outcome: envoyOutcome },
  {
    name: 'traefik',
    // All headers of the request, but not its body; no fail-open.
    ask: (request) => ({
      method: 'GET',
      target: '/v1/shed',
      headers: { ...request.headers, ...FORWARDED(request) },
    }),
    outcome: (status) => {
      if (status === undefined) return 'fail';
      return status < 300 ? 'serve' : 'deny';
    },
  },
  {
    name: 'apisix',
    ask: (request) => ({ method: 'GET', target: '/v1/shed', headers: FORWARDED(request) }),
    outcome: (status) => (status === undefined || status < 300 ? 'serve' : 'deny'),
  },
];

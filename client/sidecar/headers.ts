/** Which headers a proxy hands on. Pure. Names keep their spelling and their order (RFC 9110 section 7.6.1). */

/** For one connection only. `Expect` is not: the app answers it. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const FORWARDED_FOR = 'x-forwarded-for';

/** @param raw name, value, name, value, ... */
const pairsOf = function* (raw: readonly string[]): Generator<[string, string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i] ?? '', raw[i + 1] ?? ''];
};

/** What `Connection: a, b` names is for this connection, too. */
const namedByConnection = (raw: readonly string[]): Set<string> => {
  const named = new Set<string>();
  for (const [name, value] of pairsOf(raw)) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const token of value.split(',')) named.add(token.trim().toLowerCase());
  }
  return named;
};

/** Headers of a message without those of its connection; raw in, raw out. */
export const endToEnd = (raw: readonly string[]): string[] => {
  const named = namedByConnection(raw);
  const kept: string[] = [];
  for (const [name, value] of pairsOf(raw)) {
    const lower = name.toLowerCase();
    // A caller must not take away by name what the message is cut by.
    const isDropped =
      HOP_BY_HOP.has(lower) || (named.has(lower) && lower !== 'content-length' && lower !== 'host');
    if (!isDropped) kept.push(name, value);
  }
  return kept;
};

/** Adds the caller to X-Forwarded-For: the app sees only the sidecar. */
export const withCaller = (raw: readonly string[], address: string | undefined): string[] => {
  if (address === undefined) return [...raw];
  const before: string[] = [];
  const kept: string[] = [];
  for (const [name, value] of pairsOf(raw)) {
    if (name.toLowerCase() === FORWARDED_FOR) before.push(value);
    else kept.push(name, value);
  }
  return [...kept, 'X-Forwarded-For', [...before, address.replace(/^::ffff:/, '')].join(', ')];
};

/** True where a message of these headers has a body to hand on. */
export const hasBody = (headers: Readonly<Record<string, unknown>>): boolean =>
  headers['transfer-encoding'] !== undefined ||
  (headers['content-length'] !== undefined && headers['content-length'] !== '0');

import { isIPv4, isIPv6, SocketAddress } from 'node:net';

const MAPPED = '::ffff:';

/**
 * One spelling for each address, so that two sources can be compared: IPv6 compressed and in lower case,
 * IPv4-mapped IPv6 as IPv4.
 *
 * @returns undefined for what is no address, or has a zone
 */
export function normaliseIp(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.includes('%')) {
    return undefined;
  }
  if (isIPv4(text)) {
    return text;
  }
  if (!isIPv6(text)) {
    return undefined;
  }
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  const tail = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : '';
  return isIPv4(tail) ? tail : address;
}

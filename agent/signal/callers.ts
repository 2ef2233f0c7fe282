/** Who calls: the source address, and nothing that a client could make up. */
import type { PodTarget } from '../pods/target.ts';

/** `::ffff:10.0.0.1` and `10.0.0.1` are one address; zones (`%eth0`) do not count. */
export const normaliseAddress = (address: string): string => {
  const bare = (address.split('%')[0] ?? '').toLowerCase();
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice('::ffff:'.length) : bare;
};

export const podKey = (uid: string): string => `pod/${uid}`;
export const pathKey = (path: string): string => `path${path}`;

/**
 * @param hostAddresses addresses of the node itself: whoever calls from there may be any process of the host
 *   network, so they are nobody.
 * @returns address -> key; an address that two pods claim is nobody's.
 */
export const callersByAddress = (
  pods: Iterable<PodTarget>,
  hostAddresses: readonly string[],
): Map<string, string> => {
  const callers = new Map<string, string>();
  const nobody = new Set(hostAddresses.map(normaliseAddress));
  for (const pod of pods) {
    for (const address of new Set(pod.podIps.map(normaliseAddress))) {
      if (callers.has(address)) nobody.add(address);
      callers.set(address, podKey(pod.uid));
    }
  }
  for (const address of nobody) callers.delete(address);
  return callers;
};

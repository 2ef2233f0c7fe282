/**
 * Tells when a file descriptor is readable: from libuv's own epoll (18 us after the event), or, where koffi's
 * poll handle is missing, by looking every 5 ms. That handle is not documented by koffi, hence the feature test.
 */
import type { Libbpf, PollHandle } from './libbpf.ts';

const LOOK_EVERY_MS = 5;

export interface Poller extends PollHandle {
  readonly how: 'poll' | 'timer';
}

/** `onReadable` is called again until nothing is left to read, and from the timer also without need. */
export const pollFd = (libbpf: Pick<Libbpf, 'pollReadable'>, fd: number, onReadable: () => void): Poller => {
  try {
    const handle = libbpf.pollReadable(fd, onReadable);
    return { how: 'poll', close: () => handle.close() };
  } catch {
    const timer = setInterval(onReadable, LOOK_EVERY_MS);
    return { how: 'timer', close: () => clearInterval(timer) };
  }
};

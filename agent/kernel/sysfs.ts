/** Everything that this folder reads from /sys, /proc and /boot, so that tests can put a small tree here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export interface Sysfs {
  /** Text without the last newline; undefined: absent or unreadable. */
  text(path: string): string | undefined;
  bytes(path: string): Uint8Array | undefined;
  /** Names of the entries; empty: no such directory. */
  list(path: string): string[];
  exists(path: string): boolean;
}

const orUndefined = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    // files of pseudo file systems come and go, and may be closed to us: both mean "not there"
    return undefined;
  }
};

export const hostSysfs: Sysfs = {
  text: (path) => orUndefined(() => readFileSync(path, 'utf8').replace(/\n$/, '')),
  bytes: (path) => orUndefined(() => readFileSync(path)),
  list: (path) => orUndefined(() => readdirSync(path)) ?? [],
  exists: (path) => existsSync(path),
};

/**
 * Unix sockets that say who is asking: one directory a caller, DIR/<name>/shed.sock, and who can open it is the caller.
 *
 * For a cgroup of the config file the directory belongs to the owner of the cgroup (root, or the user that systemd
 * delegated it to), mode 0750, so that other users cannot ask in its name. For a pod it is open, because nobody but the
 * pod sees it: only its own directory is mounted into it.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { type Failure, failure } from '../failure.ts';

/** sockaddr_un.sun_path is 108 bytes with its NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;
const SOCKET = 'shed.sock';
const MAX_SOCKETS = 4_096;
const NEW_DIRECTORY_MODE = 0o700;

/**
 * One path component for a cgroup path, different for different paths: `/` becomes `~`, letters, digits, `.`, `_`
 * and `-` stay, the rest is `%XX`. A name too long for a socket address is a hash instead.
 */
export const socketNameOf = (path: string, maxLength: number): string => {
  const escaped = [...Buffer.from(path.replace(/^\//, ''))]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      if (char === '/') return '~';
      return /[A-Za-z0-9._-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('')
    .replace(/^\./, '%2E');
  return escaped.length <= maxLength ? escaped : createHash('sha256').update(path).digest('hex').slice(0, 32);
};

/** The directory's name for a cgroup, such that the socket's path is short enough. */
export const cgroupSocketName = (root: string, path: string): string =>
  socketNameOf(path, MAX_SOCKET_PATH - join(root, '', SOCKET).length - 1);

/** Where the socket of a cgroup is. */
export const signalSocketPath = (root: string, path: string): string =>
  join(root, cgroupSocketName(root, path), SOCKET);

export interface SocketWish {
  key: string;
  /** One path component. */
  name: string;
  /** Who may ask; undefined: whoever gets to the directory. */
  owner: { uid: number; gid: number } | undefined;
}

interface OpenSocket {
  server: Server;
  directory: string;
}

const MODES = { owned: { directory: 0o750, socket: 0o660 }, open: { directory: 0o755, socket: 0o666 } };

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class SignalSockets {
  readonly #root: string;
  readonly #serverFor: (key: string) => Server;
  readonly #onFailure: (failure: Failure) => void;
  readonly #open = new Map<string, OpenSocket>();
  readonly #refused = new Set<string>();

  /** @param serverFor a server that answers for one caller, not listening yet. */
  constructor(root: string, serverFor: (key: string) => Server, onFailure: (failure: Failure) => void) {
    this.#root = root;
    this.#serverFor = serverFor;
    this.#onFailure = onFailure;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Opens what is new, closes what went. A socket that cannot be made is reported once. */
  reconcile(wishes: readonly SocketWish[]): void {
    const wanted = new Set(wishes.map((wish) => wish.key));
    for (const [key, socket] of this.#open) {
      if (!wanted.has(key)) this.#close(key, socket);
    }
    for (const key of this.#refused) if (!wanted.has(key)) this.#refused.delete(key);
    for (const wish of wishes) {
      if (this.#open.has(wish.key) || this.#refused.has(wish.key)) continue;
      if (this.#open.size >= MAX_SOCKETS) this.#refuse(wish, `${MAX_SOCKETS} sockets are open already`);
      else this.#listen(wish);
    }
  }

  close(): void {
    for (const [key, socket] of this.#open) this.#close(key, socket);
  }

  #listen(wish: SocketWish): void {
    const directory = join(this.#root, wish.name);
    const modes = wish.owner === undefined ? MODES.open : MODES.owned;
    let fd: number | undefined;
    try {
      fd = this.#takeDirectory(directory);
      const socketPath = join(directory, SOCKET);
      rmSync(socketPath, { force: true });
      const server = this.#serverFor(wish.key);
      const taken = fd;
      server.once('error', (error) => {
        closeSync(taken);
        this.#fail(wish, server, error);
      });
      // listen() binds before it returns, so the socket has its mode from the start.
      const umask = process.umask(0o777 & ~modes.socket);
      server.listen(socketPath, () => this.#handOver(wish, server, socketPath, taken));
      process.umask(umask);
      this.#open.set(wish.key, { server, directory });
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      this.#refuse(wish, reasonOf(error));
    }
  }

  /**
   * Makes the directory, or takes it back from the user who had it: while the socket is made, nobody may put
   * something else in its place. @returns its descriptor; a link in its place is refused.
   */
  #takeDirectory(directory: string): number {
    mkdirSync(this.#root, { recursive: true, mode: 0o711 });
    mkdirSync(directory, { recursive: true, mode: NEW_DIRECTORY_MODE });
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const me = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
      if (me.uid === 0) fchownSync(fd, me.uid, me.gid);
      if (fstatSync(fd).uid === me.uid) fchmodSync(fd, NEW_DIRECTORY_MODE);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #handOver(wish: SocketWish, server: Server, socketPath: string, fd: number): void {
    const { owner } = wish;
    const modes = owner === undefined ? MODES.open : MODES.owned;
    server.removeAllListeners('error').on('error', () => undefined);
    try {
      if (owner !== undefined) {
        lchownSync(socketPath, owner.uid, owner.gid);
        fchownSync(fd, owner.uid, owner.gid);
      }
      // A directory that the kubelet made has its mode from there.
      const isMine = owner !== undefined || fstatSync(fd).uid === process.geteuid?.();
      if (isMine) fchmodSync(fd, modes.directory);
    } catch (error) {
      this.#fail(wish, server, error);
    } finally {
      closeSync(fd);
    }
  }

  #fail(wish: SocketWish, server: Server, error: unknown): void {
    this.#open.delete(wish.key);
    server.close();
    this.#refuse(wish, reasonOf(error));
  }

  #refuse(wish: SocketWish, why: string): void {
    this.#refused.add(wish.key);
    this.#onFailure(
      failure(
        'SLO_E_SIGNAL_SOCKET',
        `no signal socket for ${wish.key}`,
        why,
        `check ${this.#root}: only root or this process may write to it`,
      ),
    );
  }

  #close(key: string, { server, directory }: OpenSocket): void {
    this.#open.delete(key);
    server.close();
    server.closeAllConnections();
    try {
      rmSync(join(directory, SOCKET), { force: true });
      rmdirSync(directory);
    } catch {
      // somebody keeps files there: theirs to remove
    }
  }
}

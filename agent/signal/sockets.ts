/**
 * One Unix socket for each cgroup of the config file: DIR/<name of the cgroup>/shed.sock. Who may open the
 * directory is the caller; it belongs to the owner of the cgroup's directory (root, or the user that systemd
 * delegated it to), mode 0750, so that other users cannot ask in its name.
 */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, mkdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import { dirname, join } from 'node:path';
import { type Failure, failure } from '../failure.ts';

/** sockaddr_un.sun_path is 108 bytes with its NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;
const SOCKET = 'shed.sock';
const MAX_SOCKETS = 1_024;

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

/** Where the socket of a cgroup is. */
export const signalSocketPath = (root: string, path: string): string => {
  const maxName = MAX_SOCKET_PATH - join(root, '', SOCKET).length - 1;
  return join(root, socketNameOf(path, maxName), SOCKET);
};

export interface SocketWish {
  key: string;
  /** Cgroup path from the hierarchy's root. */
  path: string;
  /** Its directory, whose owner gets the socket. */
  directory: string;
}

interface OpenSocket {
  server: Server;
  directory: string;
}

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
    const socketPath = signalSocketPath(this.#root, wish.path);
    const directory = dirname(socketPath);
    try {
      const { uid, gid } = statSync(wish.directory);
      mkdirSync(this.#root, { recursive: true, mode: 0o711 });
      mkdirSync(directory, { recursive: true, mode: 0o750 });
      // Whoever could put a link here would have us change the owner of another directory.
      if (!lstatSync(directory).isDirectory()) throw new Error(`${directory} is no directory`);
      chmodSync(directory, 0o750);
      chownSync(directory, uid, gid);
      rmSync(socketPath, { force: true });
      const server = this.#serverFor(wish.key);
      server.on('error', (error) => {
        this.#open.delete(wish.key);
        server.close();
        this.#refuse(wish, error.message);
      });
      server.listen(socketPath, () => {
        try {
          chmodSync(socketPath, 0o660);
          chownSync(socketPath, uid, gid);
        } catch (error) {
          server.emit('error', error);
        }
      });
      this.#open.set(wish.key, { server, directory });
    } catch (error) {
      this.#refuse(wish, reasonOf(error));
    }
  }

  #refuse(wish: SocketWish, why: string): void {
    this.#refused.add(wish.key);
    this.#onFailure(
      failure(
        'SLO_E_SIGNAL_SOCKET',
        `no signal socket for ${wish.path}`,
        why,
        'check --signal-dir: it must be a directory that only root can write to',
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

/** Ports for servers that are stopped and started again: below those that the kernel gives to outgoing connections. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST = 10_000;
const PORTS = 20_000;
const TRIES = 100;
const PAUSE_MS = 50;

const isTaken = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EADDRINUSE';

/** @param port 0: any low port. Waits for a port that is still taken. */
export const listenLow = async (server: Server, port: number): Promise<number> => {
  for (let tries = 1; ; tries += 1) {
    const candidate = port || FIRST + Math.floor(Math.random() * PORTS);
    try {
      await once(server.listen(candidate, '127.0.0.1'), 'listening');
      return candidate;
    } catch (error) {
      if (!isTaken(error) || tries === TRIES) throw error;
      await sleep(PAUSE_MS);
    }
  }
};

/** A port that was free a moment ago, for programs that cannot choose one themselves and tell. */
export const freeLowPort = async (): Promise<number> => {
  const server = createServer();
  const port = await listenLow(server, 0);
  server.close();
  await once(server, 'close');
  return port;
};

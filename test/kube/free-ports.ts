/** Ports that stay ours while a server restarts: below those that the kernel gives to outgoing connections. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const LOWEST = 12_000;
const TRIES = 200;

export async function freePorts(count: number): Promise<number[]> {
  const below = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  const found = new Set<number>();
  for (let tries = 0; found.size < count && tries < TRIES; tries += 1) {
    const port = LOWEST + Math.floor(Math.random() * (below - LOWEST));
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  if (found.size < count) throw new Error(`found no ${count} free ports from ${LOWEST} to ${below}`);
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

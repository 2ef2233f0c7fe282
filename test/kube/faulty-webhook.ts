/** A webhook that does not do its work: what it answers is the test's choice. */

import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Ca, issue } from '../fakes/certificates.ts';

export interface FaultyWebhook {
  url: string;
  /** Requests so far. */
  requests(): number;
  stop(): Promise<void>;
}

/** @param answer may also never answer */
export async function startFaultyWebhook(
  ca: Ca,
  answer: (response: ServerResponse, body: string) => void,
): Promise<FaultyWebhook> {
  const pair = await issue(ca, { ips: ['127.0.0.1'] });
  let requests = 0;
  const server = createServer(pair, (request, response) => {
    requests += 1;
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => answer(response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/mutate`,
    requests: () => requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

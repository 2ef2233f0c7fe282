/** A webhook that does not do its work, where the API server looks for the real one: its answers are the test's choice. */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type Ca, issue } from '../fakes/certificates.ts';
import { WEBHOOK_DNS_NAME, WEBHOOK_SERVICE_PORT } from './install.ts';

export interface FaultyWebhook {
  /** Requests so far. */
  requests(): number;
  stop(): Promise<void>;
}

/** @param answer may also never answer */
export async function startFaultyWebhook(
  ca: Ca,
  answer: (response: ServerResponse, body: string) => void,
): Promise<FaultyWebhook> {
  const pair = await issue(ca, { dnsNames: [WEBHOOK_DNS_NAME] });
  let requests = 0;
  const server = createServer(pair, (request, response) => {
    requests += 1;
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => answer(response, body));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(WEBHOOK_SERVICE_PORT, resolve);
  });
  return {
    requests: () => requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

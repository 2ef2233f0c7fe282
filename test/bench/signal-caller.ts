/** A pod that asks for a decision at fixed times over one connection. Prints its latencies as JSON, in ms. */
import { once } from 'node:events';
import { connect } from 'node:net';

const [, , port = '0', from = '127.0.0.2', count = '1000', everyMs = '10'] = process.argv;
const REQUEST = 'GET /v1/shed HTTP/1.1\r\nHost: scx-slo-signal\r\n\r\n';
const WARM_UP = 300;

const socket = connect({ host: '127.0.0.1', port: Number(port), localAddress: from, noDelay: true });
await once(socket, 'connect');
const latenciesMs: number[] = [];
const startMs = performance.now();
for (let n = 0; n < Number(count) + WARM_UP; n += 1) {
  const dueMs = startMs + n * Number(everyMs);
  const waitMs = dueMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  const askedMs = performance.now();
  socket.write(REQUEST);
  const [answer]: Buffer[] = await once(socket, 'data');
  if (n >= WARM_UP) latenciesMs.push(performance.now() - askedMs);
  if (!/^HTTP\/1\.1 (200|429) /.test(String(answer))) throw new Error(`no decision: ${answer}`);
}
socket.destroy();
process.stdout.write(JSON.stringify(latenciesMs));

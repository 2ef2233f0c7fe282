/** Connections that ask for a decision again as soon as they have one. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface SignalLoad {
  /** Latencies of the answers, ms. */
  latenciesMs: number[];
  denied: number;
  seconds: number;
}

const REQUEST =
  'GET /v1/shed/orders/42 HTTP/1.1\r\nHost: scx-slo-signal\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n';
/** An answer's head ends here; a refusal has its body behind it, in the same packet. */
const HEAD_END = '\r\n\r\n';

/** @param sources addresses to ask from, each a pod's. */
export const askAsFastAsItAnswers = async (
  port: number,
  sources: readonly string[],
  connectionsEach: number,
  seconds: number,
): Promise<SignalLoad> => {
  const latenciesMs: number[] = [];
  let denied = 0;
  let isOver: boolean = false;
  const sockets: Socket[] = [];
  for (const from of sources) {
    for (let n = 0; n < connectionsEach; n += 1) {
      const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true });
      await once(socket, 'connect');
      sockets.push(socket);
    }
  }
  const startMs = performance.now();
  for (const socket of sockets) {
    let askedMs = performance.now();
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (!text.includes(HEAD_END)) throw new Error(`half an answer: ${text}`);
      const nowMs = performance.now();
      latenciesMs.push(nowMs - askedMs);
      if (text.startsWith('HTTP/1.1 429')) denied += 1;
      askedMs = nowMs;
      if (!isOver) socket.write(REQUEST);
    });
    socket.write(REQUEST);
  }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  isOver = true;
  const measured = (performance.now() - startMs) / 1_000;
  for (const socket of sockets) socket.destroy();
  return { latenciesMs, denied, seconds: measured };
};

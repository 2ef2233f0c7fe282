import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { ApiServer } from './api-server.ts';
import { Deployment } from './deployment.ts';
import { startRate } from './load.ts';
import { reviews } from './reviews.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function deployUnderLoad() {
  const deployment = await Deployment.start({
    command: [process.execPath, fileURLToPath(new URL('../../webhook/main.ts', import.meta.url))],
    lameDuckSeconds: 1,
    certificatePollSeconds: 1,
    probeMs: 50,
    propagationMs: 200,
  });
  cleanups.push(() => deployment.stop());
  const apiServer = new ApiServer({
    service: deployment.service,
    caBundle: () => deployment.caBundle(),
    callsPerConnection: 20,
  });
  cleanups.push(() => apiServer.close());
  return { deployment, apiServer, load: startRate(apiServer, reviews(), 100) };
}

describe('two replicas under load', { timeout: 60_000 }, () => {
  it('lose no call through a change of authority and certificate', async () => {
    const { deployment, apiServer, load } = await deployUnderLoad();
    await sleep(300);
    await deployment.rotate();
    const rotated = apiServer.connections;
    // Handshakes that trust the new authority alone.
    while (apiServer.connections < rotated + 5) await sleep(20);
    const { calls, failures } = await load.stop();
    expect([...failures]).toEqual([]);
    expect(calls).toBeGreaterThan(50);
  });

  it('lose no call through a rolling restart', async () => {
    const { deployment, load } = await deployUnderLoad();
    const old = deployment.service.replicas;
    expect(await deployment.restart()).toEqual([0, 0]);
    const { calls, failures } = await load.stop();
    expect([...failures]).toEqual([]);
    expect(calls).toBeGreaterThan(100);
    expect(deployment.service.replicas.filter((replica) => old.includes(replica))).toEqual([]);
  });
});

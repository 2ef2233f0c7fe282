import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeConnection } from '../../kube/connection.ts';
import { FakeKubeApi } from '../../test/fakes/kube-api.ts';
import type { NodeMode } from '../node-mode.ts';
import { conditionOf, NodeConditionReporter } from './node-condition.ts';

const ENFORCING: NodeMode = { mode: 'enforce', wanted: 'enforce', reason: undefined };
const FALLEN: NodeMode = {
  mode: 'advisory',
  wanted: 'enforce',
  reason: { code: 'OtherScheduler', message: 'another scheduler runs', hint: 'stop it' },
};
const EARLIER = '2026-01-01T00:00:00Z';

interface Sent {
  type: string;
  status: string;
  reason: string;
  lastTransitionTime: string;
}

let api: FakeKubeApi;
let connection: KubeConnection;
let reporter: NodeConditionReporter;
let failures: (number | undefined)[];

const sent = (): Sent[] =>
  api.seen('write').flatMap(({ body }) => {
    const { status } = body as { status?: { conditions: Sent[] } };
    return status?.conditions ?? [];
  });

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 10_000, interval: 5 });

const report = (mode: NodeMode): void => reporter.onStatus({ mode, canEnforce: true });

const reporterWith = (heartbeatMs?: number): void => {
  reporter = new NodeConditionReporter({
    connection,
    nodeName: 'node-1',
    onFailure: (failure) => failures.push(failure?.status),
    backoffMinMs: 5,
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
  });
};

beforeEach(async () => {
  api = await FakeKubeApi.start();
  connection = new KubeConnection(api.credentials());
  failures = [];
  reporterWith();
});

afterEach(async () => {
  await reporter.stop();
  connection.close();
  await api.close();
});

describe('the condition of the Node', () => {
  it('says why it is not ready, or that nobody asked for it', () => {
    expect(conditionOf(ENFORCING)).toMatchObject({ status: 'True', reason: 'Enforcing' });
    expect(conditionOf(FALLEN)).toMatchObject({
      status: 'False',
      reason: 'OtherScheduler',
      message: expect.stringContaining('stop it'),
    });
    const observing: NodeMode = { mode: 'observe', wanted: 'observe', reason: undefined };
    expect(conditionOf(observing)).toMatchObject({ status: 'False', reason: 'NotRequested' });
  });

  it('is patched into the status of the own Node, and only when it changes', async () => {
    report(ENFORCING);
    await eventually(() => expect(sent()).toHaveLength(1));
    report(ENFORCING);
    report(FALLEN);
    await eventually(() => expect(sent()).toHaveLength(2));
    report(FALLEN);
    await reporter.stop();
    expect(sent().map(({ reason }) => reason)).toEqual(['Enforcing', 'OtherScheduler', 'AgentStopped']);
    const [patch] = api.seen('write');
    expect([patch?.method, patch?.path]).toEqual(['PATCH', '/api/v1/nodes/node-1/status']);
    expect(patch?.headers['content-type']).toBe('application/strategic-merge-patch+json');
    expect(api.requests.every(({ method }) => method === 'PATCH')).toBe(true);
  });

  it('keeps the time of its last transition over a restart of the agent', async () => {
    const before = { type: 'SchedExtReady', status: 'True', lastTransitionTime: EARLIER };
    api.onWrite = () => ({ kind: 'Node', status: { conditions: [{ type: 'Ready' }, before] } });
    report(ENFORCING);
    await eventually(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]?.lastTransitionTime).toBe(EARLIER);
    report(FALLEN);
    await eventually(() => expect(sent()).toHaveLength(2));
    expect(sent()[1]?.lastTransitionTime).not.toBe(EARLIER);
  });

  it('is sent again now and then', async () => {
    reporterWith(20);
    await eventually(() => {
      report(ENFORCING);
      expect(sent().length).toBeGreaterThan(2);
    });
    expect(new Set(sent().map(({ reason }) => reason))).toEqual(new Set(['Enforcing']));
  });

  it('is tried again while the server refuses it, and says so once', async () => {
    api.fault = () => ({ status: 403 });
    report(ENFORCING);
    await eventually(() => expect(api.requests.length).toBeGreaterThan(3));
    api.fault = () => undefined;
    report(FALLEN);
    await eventually(() => expect(failures).toEqual([403, undefined]));
    expect(sent().at(-1)?.reason).toBe('OtherScheduler');
  });

  it('says nothing at its end where it never could', async () => {
    api.fault = () => ({ status: 403 });
    report(ENFORCING);
    await eventually(() => expect(failures).toEqual([403]));
    await reporter.stop();
    expect(sent()).toEqual([]);
  });
});

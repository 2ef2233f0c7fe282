import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeKubeApi } from '../test/fakes/kube-api.ts';
import { type ApiFailure, apiFailureText } from './api-failure.ts';
import { KubeConnection } from './connection.ts';
import { type EventNote, eventName, eventObject, microTime } from './event.ts';
import { EventRecorder, type RecorderLimits } from './event-recorder.ts';

const REPORTER = { controller: 'scx-slo.io/agent', instance: 'node-1' };

const note = (more: Partial<EventNote> = {}, uid = 'u1'): EventNote => ({
  regarding: { apiVersion: 'v1', kind: 'Pod', name: 'cart', namespace: 'shop', uid },
  type: 'Warning',
  reason: 'SLOClamped',
  action: 'Resolve',
  note: 'importance:95>90',
  ...more,
});

let api: FakeKubeApi;
let connection: KubeConnection;
let recorder: EventRecorder;
let failures: string[];

const recorderWith = (limits: Partial<RecorderLimits> = {}): EventRecorder => {
  recorder = new EventRecorder({
    connection,
    reporter: REPORTER,
    limits: { backoffMinMs: 5, backoffMaxMs: 20, ...limits },
    onFailure: (failure: ApiFailure | undefined) =>
      failures.push(failure === undefined ? 'well' : apiFailureText(failure)),
  });
  return recorder;
};

const writes = (method: string) => api.seen('write').filter((request) => request.method === method);

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 10_000, interval: 5 });

beforeEach(async () => {
  api = await FakeKubeApi.start();
  connection = new KubeConnection(api.credentials());
  failures = [];
});

afterEach(async () => {
  await recorder.stop();
  connection.close();
  await api.close();
});

describe('the event recorder', () => {
  it('writes an Event into the namespace of its object', async () => {
    recorderWith().record(note());
    await eventually(() => expect(recorder.counts.sent).toBe(1));
    const [post] = writes('POST');
    expect(post?.path).toBe('/apis/events.k8s.io/v1/namespaces/shop/events');
    expect(post?.body).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      metadata: { name: expect.stringMatching(/^cart\.[0-9a-f]+$/), namespace: 'shop' },
      eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      reportingController: 'scx-slo.io/agent',
      regarding: { kind: 'Pod', uid: 'u1' },
    });
  });

  it('writes the Event of an object without a namespace where every server takes it', async () => {
    const node = { apiVersion: 'v1', kind: 'Node', name: 'node-1', namespace: '', uid: 'node-1' };
    recorderWith().record(note({ regarding: node }));
    await eventually(() => expect(recorder.counts.sent).toBe(1));
    expect(writes('POST')[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/kube-system/events');
    expect(writes('POST')[0]?.body).not.toHaveProperty('regarding.namespace');
  });

  it('counts a repetition in the Event that is there, and sends the count once', async () => {
    recorderWith({ flushMs: 50 });
    for (let i = 0; i < 7; i += 1) recorder.record(note());
    await eventually(() => expect(writes('PATCH')).toHaveLength(1));
    expect(writes('POST')).toHaveLength(1);
    const path = writes('PATCH')[0]?.path ?? '';
    expect(path).toMatch(/^\/apis\/events\.k8s\.io\/v1\/namespaces\/shop\/events\/cart\./);
    expect(writes('POST')[0]?.body).toHaveProperty('metadata.name', path.slice(path.lastIndexOf('/') + 1));
    expect(writes('PATCH')[0]?.headers['content-type']).toBe('application/merge-patch+json');
    expect(writes('PATCH')[0]?.body).toMatchObject({ series: { count: 7 } });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(writes('PATCH')).toHaveLength(1);
  });

  it('limits the events of one object, and of all', async () => {
    recorderWith({ objectBurst: 3, burst: 5 });
    for (let i = 0; i < 10; i += 1) recorder.record(note({ note: `one ${i}` }));
    for (let i = 0; i < 10; i += 1) recorder.record(note({ note: `other ${i}` }, `u${i}`));
    await eventually(() => expect(recorder.counts).toEqual({ sent: 5, suppressed: 15, dropped: 0 }));
  });

  it('tries again where that helps, and says once why it must', async () => {
    const faults = [500, 429, 503];
    api.fault = () => {
      const status = faults.shift();
      return status === undefined ? undefined : { status };
    };
    recorderWith().record(note());
    recorder.record(note({ note: 'another' }));
    await eventually(() => expect(recorder.counts.sent).toBe(2));
    expect(failures.at(-1)).toBe('well');
    expect(failures).toHaveLength(4);
  });

  it.each([400, 403, 404, 409, 422])('drops what the server refuses with %i, and goes on', async (status) => {
    api.fault = () => (api.requests.length === 1 ? { status } : undefined);
    recorderWith().record(note());
    recorder.record(note({ note: 'another' }));
    await eventually(() => expect(recorder.counts).toEqual({ sent: 1, suppressed: 0, dropped: 1 }));
  });

  it('keeps no more than fits, and nothing for ever', async () => {
    api.fault = () => ({ status: 500 });
    recorderWith({ queued: 4, expireMs: 60, burst: 100 });
    for (let i = 0; i < 10; i += 1) recorder.record(note({ note: `${i}` }));
    expect(recorder.counts.dropped).toBe(6);
    await eventually(() => expect(recorder.counts.dropped).toBe(10));
  });

  it('stops while it waits', async () => {
    api.fault = () => ({ status: 500 });
    recorderWith({ backoffMinMs: 60_000, backoffMaxMs: 60_000 }).record(note());
    await eventually(() => expect(failures).toHaveLength(1));
    await recorder.stop();
    recorder.record(note({ note: 'too late' }));
    expect(api.requests).toHaveLength(1);
  });
});

describe('an Event', () => {
  it('fits what the API allows, whatever is said in it', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 2_000 });
    const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/);
    fc.assert(
      fc.property(text, name, fc.nat(2 ** 40), fc.nat(9_999), (words, podName, atMs, count) => {
        const regarding = { ...note().regarding, name: podName };
        const made = eventName(regarding, atMs, count);
        expect(made.length).toBeLessThanOrEqual(253);
        expect(made).toMatch(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/);
        const event = eventObject(note({ regarding, note: words, reason: words }), made, REPORTER, atMs);
        expect(Buffer.byteLength(String(event.note))).toBeLessThanOrEqual(1024);
        expect(String(event.reason).length).toBeLessThanOrEqual(128);
        expect(event.eventTime).toBe(microTime(atMs));
      }),
    );
  });
});

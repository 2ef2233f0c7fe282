import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Failure } from '../failure.ts';
import { callersByAddress, normaliseAddress } from './callers.ts';
import { SignalSockets, socketNameOf } from './sockets.ts';

let root = '';
let failures: Failure[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scx-slo-sock-'));
  failures = [];
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const ask = (socketPath: string) =>
  new Promise<string>((resolve, reject) => {
    const request = httpRequest({ socketPath, path: '/', agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => {
        resolve(chunk.toString());
      });
    });
    request.on('error', reject);
    request.end();
  });

const sockets = () =>
  new SignalSockets(
    root,
    (key) => createServer((_request, response) => response.end(key)),
    (told) => {
      failures.push(told);
    },
  );

const until = async (condition: () => boolean) => {
  for (let n = 0; n < 100 && !condition(); n += 1) await new Promise((resolve) => setTimeout(resolve, 10));
};

it('opens a socket for each cgroup, closed to others, and removes it again', async () => {
  const set = sockets();
  const wish = { key: 'path/kubepods/a', path: '/kubepods/a', directory: root };
  const path = join(root, 'kubepods~a/shed.sock');
  set.reconcile([wish]);
  await until(() => existsSync(path) && (statSync(path).mode & 0o777) === 0o660);
  expect(await ask(path)).toBe('path/kubepods/a');
  expect(statSync(join(root, 'kubepods~a')).mode & 0o777).toBe(0o750);
  set.reconcile([wish, { ...wish, key: 'b', path: '/b' }]);
  expect(set.size).toBe(2);
  set.reconcile([]);
  expect(existsSync(path)).toBe(false);
  expect(failures).toEqual([]);
});

it('refuses a link in place of its directory, once', () => {
  symlinkSync('/etc', join(root, 'evil'));
  const set = sockets();
  const wish = { key: 'evil', path: '/evil', directory: root };
  set.reconcile([wish]);
  set.reconcile([wish]);
  expect(failures.map((told) => told.code)).toEqual(['SLO_E_SIGNAL_SOCKET']);
  expect(set.size).toBe(0);
});

it('names differ for different paths, are one component and fit', () => {
  expect(socketNameOf('/kubepods/critical/payment-api', 60)).toBe('kubepods~critical~payment-api');
  void fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
      const name = socketNameOf(`/x${a}`, 60);
      expect(name).toMatch(/^[A-Za-z0-9._~%-]{1,60}$/);
      expect(name.startsWith('.')).toBe(false);
      if (a !== b && a.isWellFormed() && b.isWellFormed()) expect(socketNameOf(`/x${b}`, 60)).not.toBe(name);
    }),
  );
});

it('knows callers by address only where it is theirs alone', () => {
  const pod = (uid: string, podIps: string[]) => ({
    kind: 'pod' as const,
    uid,
    cgroupUid: uid,
    namespace: 'n',
    name: uid,
    slo: undefined,
    containers: [],
    podIps,
    cpuRequestMilli: 0,
    problems: [],
  });
  const callers = callersByAddress(
    [
      pod('a', ['::ffff:10.0.0.1', 'FD00::1']),
      pod('b', ['10.0.0.2', '10.0.0.3']),
      pod('c', ['10.0.0.3', '10.9.9.9']),
    ],
    ['10.9.9.9'],
  );
  expect(Object.fromEntries(callers)).toEqual({
    '10.0.0.1': 'pod/a',
    'fd00::1': 'pod/a',
    '10.0.0.2': 'pod/b',
  });
  expect(normaliseAddress('fe80::1%eth0')).toBe('fe80::1');
});

import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Failure } from '../failure.ts';
import { callersByAddress, normaliseAddress } from './callers.ts';
import { SignalSockets, type SocketWish, signalSocketPath, socketNameOf } from './sockets.ts';

let root = '';
let failures: Failure[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scx-slo-sock-'));
  failures = [];
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

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
  const wish: SocketWish = { key: 'path/kubepods/a', name: 'kubepods~a', owner };
  const path = join(root, 'kubepods~a/shed.sock');
  expect(signalSocketPath(root, '/kubepods/a')).toBe(path);
  set.reconcile([wish]);
  await until(() => existsSync(path) && (statSync(path).mode & 0o777) === 0o660);
  expect(await ask(path)).toBe('path/kubepods/a');
  expect(statSync(join(root, 'kubepods~a')).mode & 0o777).toBe(0o750);
  set.reconcile([wish, { ...wish, key: 'b', name: 'b' }]);
  expect(set.size).toBe(2);
  set.reconcile([]);
  expect(existsSync(path)).toBe(false);
  expect(failures).toEqual([]);
});

it('opens a socket for a pod to whoever gets to its directory', async () => {
  const set = sockets();
  set.reconcile([{ key: 'pod/u1', name: 'u1', owner: undefined }]);
  const mode = (path: string) => statSync(join(root, path)).mode & 0o777;
  await until(() => existsSync(join(root, 'u1/shed.sock')) && mode('u1') === 0o755);
  expect(mode('u1/shed.sock')).toBe(0o666);
  expect(await ask(join(root, 'u1/shed.sock'))).toBe('pod/u1');
  set.close();
  expect(existsSync(join(root, 'u1'))).toBe(false);
});

it('takes the directory back from its user before it makes the socket, and changes no file by a link', async () => {
  const victim = join(root, 'victim');
  writeFileSync(victim, '', { mode: 0o600 });
  const directory = join(root, 'user');
  mkdirSync(directory, { mode: 0o777 });
  symlinkSync(victim, join(directory, 'shed.sock'));
  const set = sockets();
  set.reconcile([{ key: 'path/user', name: 'user', owner }]);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  await until(() => (statSync(directory).mode & 0o777) === 0o750);
  expect(await ask(join(directory, 'shed.sock'))).toBe('path/user');
  expect(statSync(victim).mode & 0o777).toBe(0o600);
  expect(failures).toEqual([]);
  set.close();
});

it('refuses a link in place of its directory, once', () => {
  symlinkSync('/etc', join(root, 'evil'));
  const set = sockets();
  const wish: SocketWish = { key: 'evil', name: 'evil', owner };
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

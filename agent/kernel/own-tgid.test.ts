import { readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isFailure } from '../failure.ts';
import { BpfObject } from './bpf-object.ts';
import { loadLibbpf } from './libbpf.ts';
import { ownTgid } from './own-tgid.ts';

/** Why the kernel does not run our program here; undefined: it does. */
const obstacle = (): string | undefined => {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return libbpf.why;
  const object = BpfObject.open('process', libbpf);
  if (isFailure(object)) return object.why;
  const failed = object.load();
  object.close();
  return failed?.why;
};

/** PROC_PID_INIT_INO: the number of the namespace that the machine boots with is fixed in the kernel. */
const isInitialNamespace = (): boolean => readlinkSync('/proc/self/ns/pid') === `pid:[${0xeffffffc}]`;

const skipped = obstacle();
if (skipped !== undefined) process.stdout.write(`own-tgid: not run natively: ${skipped}\n`);

describe.skipIf(skipped !== undefined)('the own process id', () => {
  it('is process.pid where the process is in no namespace of its own', () => {
    const libbpf = loadLibbpf();
    if (isFailure(libbpf)) throw new Error(libbpf.why);
    const tgid = ownTgid(libbpf);
    if (isInitialNamespace()) expect(tgid).toBe(process.pid);
    else expect(tgid).toBeGreaterThan(0);
  });
});

/** This process's id as the kernel counts: in a container process.pid is that of the container's namespace. */
import { isFailure } from '../failure.ts';
import { BpfObject } from './bpf-object.ts';
import type { Libbpf } from './libbpf.ts';

/** Where the kernel does not tell (no right to, no object), process.pid: right outside of containers. */
export const ownTgid = (libbpf: Libbpf): number => {
  const object = BpfObject.open('process', libbpf);
  if (isFailure(object)) return process.pid;
  const tgid = object.load() ?? object.runProgram('own_tgid');
  object.close();
  return isFailure(tgid) || tgid === 0 ? process.pid : tgid;
};

// node test/vm/verifier-cost.ts [FILE] : loads every BPF object into the running kernel (root), as the agent prepares
// it, attaches nothing, and prints what the verifier had to do for each program; with FILE, writes it there.
import { writeFileSync } from 'node:fs';
import { type Failure, failureText, isFailure } from '../../agent/failure.ts';
import { BpfObject, type ObjectName } from '../../agent/kernel/bpf-object.ts';
import { type Libbpf, loadLibbpf } from '../../agent/kernel/libbpf.ts';
import { prepareScheduler } from '../../agent/kernel/scheduler.ts';
import { setConstants } from '../../agent/kernel/shared-memory.ts';
import { hostSysfs } from '../../agent/kernel/sysfs.ts';
import { readTopology } from '../../agent/kernel/topology.ts';
import { readKernelTypes } from '../../agent/kernel/vmlinux-btf.ts';
import { parseVerifierStats, type VerifierCosts } from './verifier-growth.ts';

/** The scheduler is left out on kernels that cannot run it: they are said to be so elsewhere. */
export function measureVerifierCosts(objects: readonly ObjectName[]): VerifierCosts | Failure {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return libbpf;
  const costs: Record<string, VerifierCosts[string]> = {};
  for (const name of objects) {
    const logs = loadWithStats(name, libbpf);
    if (isFailure(logs)) return logs;
    for (const [program, text] of logs) {
      const cost = parseVerifierStats(text);
      if (cost === undefined) throw new Error(`not the verifier's statistics of ${program}: ${text}`);
      costs[`${name}/${program}`] = cost;
    }
  }
  return costs;
}

/** Sessions of the agent keep their object to themselves, so each kind is prepared here as it is there. */
function loadWithStats(name: ObjectName, libbpf: Libbpf): Map<string, string> | Failure {
  const object = BpfObject.open(name, libbpf);
  if (isFailure(object)) return object;
  try {
    const problem = prepare(object);
    return isFailure(problem) ? problem : object.loadWithVerifierStats();
  } finally {
    object.close();
  }
}

function prepare(object: BpfObject): Failure | undefined {
  const topology = readTopology(hostSysfs);
  if (object.name === 'observer') return setConstants(object, { topology });
  if (object.name === 'cgroups') return undefined;
  const types = readKernelTypes(hostSysfs);
  if (isFailure(types)) return types;
  const opsMap = prepareScheduler(object, { topology, kernelOpsMembers: types?.opsMembers ?? [] });
  return isFailure(opsMap) ? opsMap : undefined;
}

if (import.meta.main) {
  const scheduler: ObjectName[] = hostSysfs.exists('/sys/kernel/sched_ext') ? ['scheduler'] : [];
  let costs = measureVerifierCosts(['observer', 'cgroups', ...scheduler]);
  if (isFailure(costs) && scheduler.length > 0) {
    process.stderr.write(`${failureText(costs)}\nwithout the scheduler:\n`);
    costs = measureVerifierCosts(['observer', 'cgroups']);
  }
  if (isFailure(costs)) {
    process.stderr.write(`${failureText(costs)}\n`);
    process.exitCode = 1;
  } else {
    const text = `${JSON.stringify(costs, null, 2)}\n`;
    const [file] = process.argv.slice(2);
    if (file === undefined) process.stdout.write(text);
    else writeFileSync(file, text);
  }
}

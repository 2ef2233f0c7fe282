/** The machine under test as a node without its usual noise, for demo and bench: cgroups, network, memory, files. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { readAhead, say } from './guest-program.ts';
import { closeNodeCgroups, openNodeCgroups } from './node-cgroups.ts';
import { openNodeNetwork } from './pod-network.ts';
import type { RunningPod } from './pod-sandbox.ts';
import { stopHugePages } from './quiet-kernel.ts';

const RUN_DIR = '/run/scx-slo-demo';
/** Where the pods' manifests are for the agent. */
export const PODS_DIR = `${RUN_DIR}/pods`;

export interface NodeRun {
  cpus: number;
  /** `logs` and `measured.json` come here. */
  out: string;
  /** Folders whose files must not be read later. */
  folders: readonly string[];
  /** Those that were started, at the end. */
  pods: () => Iterable<RunningPod>;
}

/** What `measure` returns is OUT/measured.json, beside the kernel's release and the CPUs. Leaves nothing running. */
export const measureOnNode = async (
  { cpus, out, folders, pods }: NodeRun,
  measure: () => Promise<object>,
): Promise<void> => {
  mkdirSync(join(out, 'logs'), { recursive: true });
  mkdirSync(PODS_DIR, { recursive: true });
  say(`node: Linux ${release()}, ${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}`);
  openNodeCgroups(cpus);
  const closeNetwork = openNodeNetwork();
  const restoreHugePages = stopHugePages();
  try {
    readAhead(folders);
    const measured = { kernel: release(), cpus, ...(await measure()) };
    writeFileSync(join(out, 'measured.json'), JSON.stringify(measured));
    say('done');
  } finally {
    for (const pod of pods()) await pod.stop();
    restoreHugePages();
    closeNetwork();
    await closeNodeCgroups();
    rmSync(RUN_DIR, { recursive: true, force: true });
  }
};

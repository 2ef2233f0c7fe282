/** A node that can enforce. */
import type { NodeFacts } from '../../agent/kernel/node-facts.ts';

export const GOOD_KERNEL_TYPES = {
  opsMembers: ['init'],
  createDsqParameters: 2,
  enableWorkers: ['scx_enable_workfn'],
  hasExtServer: true,
};

export const GOOD_NODE_FACTS: NodeFacts = {
  kernel: '7.3.4',
  capabilities: (1n << 38n) | (1n << 39n),
  types: GOOD_KERNEL_TYPES,
  schedExt: { state: 'disabled', ops: '' },
  cgroup2: '/sys/fs/cgroup',
  cpuControllerV2: true,
  commandLine: 'root=/dev/vda ro isolcpus=nohz,2-3',
};

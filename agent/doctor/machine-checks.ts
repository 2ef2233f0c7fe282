/** What of the machine shapes scheduling: tick, caches, SMT, limits; and the parts that we bring. Pure. */
import { type Failure, isFailure } from '../failure.ts';
import { SLO_MAX_CPUS, SLO_MAX_LLCS } from '../kernel/layout.gen.ts';
import type { Topology } from '../kernel/topology.ts';
import { type Check, fail, ok, warn } from './check.ts';

export interface MachineFacts {
  topology: Topology;
  /** undefined: the kernel's configuration is not readable. */
  hz: number | undefined;
  /** undefined: the kernel does not say. */
  smt: boolean | undefined;
  numaNodes: number;
}

const SLOW_HZ = 100;

const tick = ({ hz, topology }: MachineFacts): Check => {
  const tickMs = topology.tickNs / 1e6;
  if (hz === undefined) {
    const text = `CONFIG_HZ is not readable; a tick of ${tickMs} ms is assumed`;
    return warn('tick', text, 'make /boot/config-$(uname -r) or /proc/config.gz readable for the agent');
  }
  const text = `a tick every ${Math.round(tickMs * 100) / 100} ms (CONFIG_HZ=${hz})`;
  if (hz > SLOW_HZ) return ok('tick', text);
  return warn('tick', `${text}: slices end at ticks`, 'a kernel with CONFIG_HZ=250 or 1000 cuts finer');
};

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

const cpus = ({ topology, smt, numaNodes }: MachineFacts): Check => {
  const { online, cpuCount, llcCount } = topology;
  const threads = smt === undefined ? 'SMT unknown' : smt ? 'SMT on' : 'SMT off';
  const text = [
    `${count(online.length, 'CPU')} online`,
    count(llcCount, 'last-level cache'),
    count(Math.max(1, numaNodes), 'NUMA node'),
    threads,
  ].join(', ');
  if (cpuCount <= SLO_MAX_CPUS && llcCount < SLO_MAX_LLCS) return ok('topology', text);
  const most = `${SLO_MAX_CPUS} CPUs and ${SLO_MAX_LLCS} last-level caches are known apart`;
  return warn('topology', `${text}; ${most}`, 'work beyond that is scheduled, with less locality');
};

export const machineChecks = (facts: MachineFacts): Check[] => [tick(facts), cpus(facts)];

export interface PartFacts {
  /** Version of the library. */
  libbpf: string | Failure;
  /** Does our scheduler fit this kernel; undefined: not asked (no libbpf, no sched_ext). */
  scheduler: 'fits' | Failure | undefined;
}

export const partChecks = ({ libbpf, scheduler }: PartFacts): Check[] => {
  const checks = isFailure(libbpf)
    ? [fail('libbpf', `${libbpf.what}: ${libbpf.why}`, libbpf.next)]
    : [ok('libbpf', `libbpf ${libbpf}`)];
  if (scheduler === 'fits') checks.push(ok('bpf-objects', 'our scheduler fits this agent and this kernel'));
  else if (scheduler !== undefined)
    checks.push(fail('bpf-objects', `${scheduler.what}: ${scheduler.why}`, scheduler.next));
  return checks;
};

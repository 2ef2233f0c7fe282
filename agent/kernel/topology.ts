/** CPUs, which last-level cache each belongs to, and the tick: what the kernel side must know before it loads. */
import { gunzipSync } from 'node:zlib';
import { SLO_MAX_CPUS, SLO_MAX_LLCS } from './layout.gen.ts';
import type { Sysfs } from './sysfs.ts';

export interface Topology {
  /** Highest possible CPU id + 1, at most SLO_MAX_CPUS. */
  cpuCount: number;
  online: number[];
  /** 1 .. SLO_MAX_LLCS. */
  llcCount: number;
  /** Index = CPU; 0 for CPUs whose caches are unknown (offline). */
  llcOfCpu: Uint16Array;
  tickNs: number;
  /** Content of /sys/kernel/sched_ext/hotplug_seq, read before everything else; undefined: no sched_ext. */
  hotplugSeq: bigint | undefined;
}

const CPU_ROOT = '/sys/devices/system/cpu';
/** CONFIG_HZ=250, the value of most distributions. */
const DEFAULT_TICK_NS = 4_000_000;
const SHARED_CACHE_LEVEL = 3;

/** `0-3,8` -> [0, 1, 2, 3, 8]; parts that are not numbers are skipped, as are ids from SLO_MAX_CPUS on. */
export const parseCpuList = (list: string): number[] => {
  const cpus = new Set<number>();
  for (const part of list.trim().split(',')) {
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (!range) continue;
    const first = Number(range[1]);
    const last = Math.min(Number(range[2] ?? range[1]), SLO_MAX_CPUS - 1);
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
};

/**
 * CPUs that share the last-level cache with `cpu`; undefined: the kernel does not tell. Where the largest cache
 * is private to a core (no level 3, as in many VMs and small arm64 machines) the package counts instead.
 */
const cacheSharers = (sysfs: Sysfs, cpu: number): string | undefined => {
  const root = `${CPU_ROOT}/cpu${cpu}/cache`;
  let best: { level: number; sharers: string } | undefined;
  for (const index of sysfs.list(root)) {
    if (!/^index\d+$/.test(index)) continue;
    const level = Number(sysfs.text(`${root}/${index}/level`));
    const sharers = sysfs.text(`${root}/${index}/shared_cpu_list`);
    const forData = sysfs.text(`${root}/${index}/type`) !== 'Instruction';
    if (forData && sharers && level > (best?.level ?? 0)) best = { level, sharers };
  }
  if (best && best.level >= SHARED_CACHE_LEVEL) return best.sharers;
  return sysfs.text(`${CPU_ROOT}/cpu${cpu}/topology/package_cpus_list`);
};

/** CONFIG_HZ of this kernel; undefined: its configuration is not readable here. */
export const readHz = (sysfs: Sysfs): number | undefined => {
  const release = sysfs.text('/proc/sys/kernel/osrelease') ?? '';
  const hz = /^CONFIG_HZ=(\d{2,4})$/m.exec(
    sysfs.text(`/boot/config-${release}`) ?? unpackConfig(sysfs.bytes('/proc/config.gz')),
  )?.[1];
  return hz ? Number(hz) : undefined;
};

const unpackConfig = (packed: Uint8Array | undefined): string => {
  if (!packed) return '';
  try {
    return gunzipSync(packed, { maxOutputLength: 4 << 20 }).toString('latin1');
  } catch {
    return ''; // the default tick will do
  }
};

/** Counts CPUs that came or went since boot; undefined: no sched_ext. */
export const readHotplugSeq = (sysfs: Sysfs): bigint | undefined => {
  const text = sysfs.text('/sys/kernel/sched_ext/hotplug_seq');
  return text && /^\d{1,19}$/.test(text) ? BigInt(text) : undefined;
};

const readTickNs = (sysfs: Sysfs): number => {
  const hz = readHz(sysfs);
  return hz ? Math.round(1e9 / hz) : DEFAULT_TICK_NS;
};

export const readTopology = (sysfs: Sysfs): Topology => {
  const hotplugSeq = readHotplugSeq(sysfs);
  const possible = parseCpuList(sysfs.text(`${CPU_ROOT}/possible`) ?? '0');
  const online = parseCpuList(sysfs.text(`${CPU_ROOT}/online`) ?? '0');
  const llcOfCpu = new Uint16Array(SLO_MAX_CPUS);
  const llcs = new Map<string, number>();
  for (const cpu of online) {
    const sharers = cacheSharers(sysfs, cpu) ?? 'unknown';
    const llc = llcs.get(sharers) ?? llcs.size;
    llcs.set(sharers, llc);
    llcOfCpu[cpu] = llc % SLO_MAX_LLCS;
  }
  return {
    cpuCount: (possible.at(-1) ?? 0) + 1,
    online,
    llcCount: Math.max(1, Math.min(llcs.size, SLO_MAX_LLCS)),
    llcOfCpu,
    tickNs: readTickNs(sysfs),
    hotplugSeq,
  };
};

import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fakeSysfs } from '../../test/fakes/sysfs.ts';
import { SLO_MAX_CPUS } from './layout.gen.ts';
import { parseCpuList, readTopology } from './topology.ts';

const CPU = '/sys/devices/system/cpu';

/** Caches as x86 shows them: level 1 instruction and data, private level 2, shared level 3. */
const cpuFiles = (cpu: number, l3: string | undefined, packageCpus: string): Record<string, string> => {
  const cache = `${CPU}/cpu${cpu}/cache`;
  const index = (i: number, level: number, type: string, sharers: string) => ({
    [`${cache}/index${i}/level`]: `${level}`,
    [`${cache}/index${i}/type`]: type,
    [`${cache}/index${i}/shared_cpu_list`]: sharers,
  });
  return {
    ...index(0, 1, 'Data', `${cpu}`),
    ...index(1, 1, 'Instruction', `${cpu}`),
    ...index(2, 2, 'Unified', `${cpu}`),
    ...(l3 ? index(3, 3, 'Unified', l3) : {}),
    [`${cache}/uevent`]: '',
    [`${CPU}/cpu${cpu}/topology/package_cpus_list`]: packageCpus,
  };
};

describe('readTopology', () => {
  it('groups CPUs by their largest shared cache', () => {
    const topology = readTopology(
      fakeSysfs({
        [`${CPU}/possible`]: '0-5',
        [`${CPU}/online`]: '0-3,5',
        ...cpuFiles(0, '0,2', '0-5'),
        ...cpuFiles(1, '1,3,5', '0-5'),
        ...cpuFiles(2, '0,2', '0-5'),
        ...cpuFiles(3, '1,3,5', '0-5'),
        ...cpuFiles(5, '1,3,5', '0-5'),
        '/sys/kernel/sched_ext/hotplug_seq': '7',
      }),
    );
    expect(topology.llcCount).toBe(2);
    expect([...topology.llcOfCpu.subarray(0, 6)]).toEqual([0, 1, 0, 1, 0, 1]);
    expect(topology.cpuCount).toBe(6);
    expect(topology.online).toEqual([0, 1, 2, 3, 5]);
    expect(topology.hotplugSeq).toBe(7n);
  });

  it('takes the package where no cache is shared', () => {
    const files = Object.assign({}, ...[0, 1, 2, 3].map((cpu) => cpuFiles(cpu, undefined, '0-3')));
    const topology = readTopology(
      fakeSysfs({ [`${CPU}/possible`]: '0-3', [`${CPU}/online`]: '0-3', ...files }),
    );
    expect(topology.llcCount).toBe(1);
  });

  it('falls back to one CPU, one LLC, 4 ms where nothing can be read', () => {
    const topology = readTopology(fakeSysfs({}));
    expect(topology).toMatchObject({ cpuCount: 1, llcCount: 1, tickNs: 4_000_000, hotplugSeq: undefined });
  });

  it('reads the tick from the kernel configuration, plain or packed', () => {
    const release = { '/proc/sys/kernel/osrelease': '7.3.4' };
    const plain = fakeSysfs({ ...release, '/boot/config-7.3.4': 'CONFIG_HZ_1000=y\nCONFIG_HZ=1000\n' });
    expect(readTopology(plain).tickNs).toBe(1_000_000);
    const packed = fakeSysfs({ '/proc/config.gz': new Uint8Array(gzipSync('A=y\nCONFIG_HZ=100\n')) });
    expect(readTopology(packed).tickNs).toBe(10_000_000);
    const broken = fakeSysfs({ '/proc/config.gz': new Uint8Array([31, 139, 0, 1]) });
    expect(readTopology(broken).tickNs).toBe(4_000_000);
  });
});

describe('parseCpuList', () => {
  it('is the inverse of writing ranges', () => {
    const cpus = fc.uniqueArray(fc.nat(SLO_MAX_CPUS - 1)).map((list) => list.sort((a, b) => a - b));
    fc.assert(
      fc.property(cpus, fc.boolean(), (list, asRanges) => {
        const text = list.map((cpu) => (asRanges ? `${cpu}-${cpu}` : `${cpu}`)).join(',');
        expect(parseCpuList(text)).toEqual(list);
      }),
    );
    expect(parseCpuList('0-3,8-9,11\n')).toEqual([0, 1, 2, 3, 8, 9, 11]);
  });

  it('stays bounded and sorted on any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9,-]*$/)), (text) => {
        const list = parseCpuList(text);
        expect(list).toEqual([...new Set(list)].sort((a, b) => a - b));
        expect(list.every((cpu) => cpu >= 0 && cpu < SLO_MAX_CPUS)).toBe(true);
      }),
    );
    expect(parseCpuList('0-99999').length).toBe(SLO_MAX_CPUS);
  });
});

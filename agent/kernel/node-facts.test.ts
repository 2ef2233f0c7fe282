import { describe, expect, it } from 'vitest';
import { fakeSysfs } from '../../test/fakes/sysfs.ts';
import { writeBtf } from '../../test/fixtures/btf-writer.ts';
import { BTF_KIND } from './btf.ts';
import { readNodeFacts } from './node-facts.ts';

const MOUNTS = `23 1 0:21 / /sys rw - sysfs sysfs rw
41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate`;

const kernelBtf = writeBtf([
  { kind: BTF_KIND.INT, name: 'u64', sizeOrType: 8, words: [64] },
  {
    kind: BTF_KIND.FUNC_PROTO,
    name: '',
    sizeOrType: 1,
    memberCount: 3,
    words: ['id', 1, 'node', 1, 'aux', 1],
  },
  { kind: BTF_KIND.FUNC, name: 'scx_bpf_create_dsq', sizeOrType: 2 },
  { kind: BTF_KIND.FUNC, name: 'scx_root_enable_workfn', sizeOrType: 2 },
  { kind: BTF_KIND.FUNC, name: 'scx_enable_workfn_x', sizeOrType: 2 },
  { kind: BTF_KIND.STRUCT, name: 'sched_ext_ops', sizeOrType: 8, memberCount: 1, words: ['init', 1, 0] },
  { kind: BTF_KIND.STRUCT, name: 'rq', sizeOrType: 8, memberCount: 1, words: ['ext_server', 1, 0] },
]);

describe('readNodeFacts', () => {
  it('gathers what preflight needs', () => {
    const facts = readNodeFacts(
      fakeSysfs({
        '/proc/self/mountinfo': MOUNTS,
        '/proc/self/status': 'Name:\tnode\nCapEff:\t000000c000000000\nCapBnd:\t0\n',
        '/proc/sys/kernel/osrelease': '7.2.12',
        '/proc/cmdline': 'quiet',
        '/sys/kernel/btf/vmlinux': kernelBtf,
        '/sys/kernel/sched_ext/state': 'enabled',
        '/sys/kernel/sched_ext/root/ops': 'lavd',
        '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory',
      }),
    );
    expect(facts).toEqual({
      kernel: '7.2.12',
      capabilities: 0xc000000000n,
      types: {
        opsMembers: ['init'],
        createDsqParameters: 3,
        enableWorkers: ['scx_root_enable_workfn'],
        hasExtServer: true,
      },
      schedExt: { state: 'enabled', ops: 'lavd' },
      cgroup2: '/sys/fs/cgroup',
      cpuControllerV2: true,
      commandLine: 'quiet',
    });
  });

  it('takes missing files for missing features, never for an error', () => {
    expect(readNodeFacts(fakeSysfs({}))).toEqual({
      kernel: 'unknown',
      capabilities: undefined,
      types: undefined,
      schedExt: undefined,
      cgroup2: undefined,
      cpuControllerV2: false,
      commandLine: '',
    });
    expect(readNodeFacts(fakeSysfs({ '/sys/kernel/btf/vmlinux': 'garbage' })).types).toMatchObject({
      code: 'SLO_E_BTF',
    });
  });
});

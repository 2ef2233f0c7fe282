import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GOOD_KERNEL_TYPES, GOOD_NODE_FACTS } from '../../test/fakes/node-facts.ts';
import { exitRecord } from '../exit-record.ts';
import { failure } from '../failure.ts';
import type { NodeFacts } from '../kernel/node-facts.ts';
import { type AgentAnswer, agentChecks, dumpOf, exitsOf } from './agent-checks.ts';
import { type KernelQuestion, kernelChecks } from './kernel-checks.ts';
import { type MachineFacts, machineChecks, partChecks } from './machine-checks.ts';
import { isHealthy, jsonReport, textReport } from './report.ts';

const kernel = (change: Partial<NodeFacts>, question: Partial<KernelQuestion> = {}) =>
  kernelChecks({
    facts: { ...GOOD_NODE_FACTS, ...change },
    wanted: 'enforce',
    enforcing: false,
    agentAnswers: false,
    ...question,
  });

const bad = (checks: ReturnType<typeof kernel>) =>
  checks.filter(({ status }) => status !== 'ok').map(({ id, status }) => `${id} ${status}`);

describe('the kernel', () => {
  it('of a good node has nothing wrong', () => {
    expect(bad(kernel({}))).toEqual([]);
    expect(kernel({}).map(({ id }) => id)).toEqual([
      'kernel',
      'btf',
      'cgroup',
      'sched-ext',
      'isolated-cpus',
      'attach-hang',
      'other-scheduler',
      'capabilities',
      'realtime-neighbours',
    ]);
  });

  it('is told everything that is wrong with it, not only the first', () => {
    const checks = kernel({
      cpuControllerV2: false,
      commandLine: 'isolcpus=1',
      types: { ...GOOD_KERNEL_TYPES, enableWorkers: [], createDsqParameters: 3, hasExtServer: false },
      schedExt: { state: 'enabled', ops: 'lavd' },
    });
    expect(bad(checks)).toEqual([
      'btf fail',
      'cgroup fail',
      'isolated-cpus fail',
      'attach-hang fail',
      'other-scheduler fail',
      'realtime-neighbours warn',
    ]);
  });

  it('is judged by what is asked of it', () => {
    expect(bad(kernel({ schedExt: undefined }))).toEqual(['sched-ext fail']);
    expect(bad(kernel({ schedExt: undefined }, { wanted: 'observe' }))).toEqual(['sched-ext warn']);
    expect(bad(kernel({ types: undefined }, { wanted: 'observe' }))).toEqual(['btf fail']);
  });

  it('that enforces in spite of a risk does not fail', () => {
    const risky = { types: { ...GOOD_KERNEL_TYPES, enableWorkers: [] } };
    expect(bad(kernel(risky, { enforcing: true, agentAnswers: true }))).toEqual(['attach-hang warn']);
  });

  it('is not judged by what this shell may do', () => {
    expect(bad(kernel({ capabilities: 0n }))).toEqual(['capabilities warn']);
    expect(bad(kernel({ capabilities: 0n }, { agentAnswers: true }))).toEqual([]);
  });
});

describe('the machine', () => {
  const machine = (change: Partial<MachineFacts>) =>
    machineChecks({
      topology: {
        cpuCount: 2,
        online: [0, 1],
        llcCount: 1,
        llcOfCpu: new Uint16Array(1024),
        tickNs: 4e6,
        hotplugSeq: 0n,
      },
      hz: 250,
      smt: false,
      numaNodes: 0,
      ...change,
    });

  it('is described', () => {
    expect(machine({}).map(({ status, text }) => `${status} ${text}`)).toEqual([
      'ok a tick every 4 ms (CONFIG_HZ=250)',
      'ok 2 CPUs online, 1 last-level cache, 1 NUMA node, SMT off',
    ]);
  });

  it('with a slow or unknown tick is warned of', () => {
    expect(machine({ hz: 100 })[0]).toMatchObject({ id: 'tick', status: 'warn' });
    expect(machine({ hz: undefined })[0]).toMatchObject({
      status: 'warn',
      text: expect.stringContaining('4 ms is assumed'),
    });
  });

  it('without our parts fails', () => {
    const broken = failure('SLO_E_LIBBPF', 'libbpf.so.1 is too old', 'it is 1.1', 'make setup');
    expect(partChecks({ libbpf: '1.5', scheduler: 'fits' }).map(({ status }) => status)).toEqual([
      'ok',
      'ok',
    ]);
    expect(partChecks({ libbpf: broken, scheduler: undefined })).toMatchObject([
      { id: 'libbpf', status: 'fail', next: 'make setup' },
    ]);
    expect(partChecks({ libbpf: '1.5', scheduler: broken })[1]).toMatchObject({ status: 'fail' });
  });
});

const NOW_MS = Date.parse('2026-11-24T12:00:00Z');
const record = (kind: number, minutesAgo: number, dump = '', exitCode = 0n) =>
  exitRecord(
    { kind, exitCode, reason: 'why', message: 'what', dump },
    { atMs: NOW_MS - minutesAgo * 60_000, kernel: '7.3', ranMs: 5_000 },
  );

const answer: AgentAnswer = {
  version: '1',
  mode: 'enforce',
  wantedMode: 'enforce',
  reason: undefined,
  restart: { action: 'none', inSeconds: 0 },
  exits: [],
};
const none = failure('SLO_E_NO_AGENT', 'no agent answers', 'ECONNREFUSED', 'start it');
const ours = { state: 'enabled', ops: 'scx_slo' };

describe('the agent', () => {
  it('that does what it was asked is well', () => {
    expect(bad(agentChecks({ agent: answer, schedExt: ours, kept: [], nowMs: NOW_MS }))).toEqual([]);
  });

  it.each([
    ['TurnedOff', 'agent fail'],
    ['RepeatedFailure', 'agent fail'],
    ['BackOff', 'agent fail'],
    ['HotplugReload', 'agent warn'],
  ])('that does less because of %s: %s', (code, verdict) => {
    const less = { ...answer, mode: 'advisory', reason: { code, message: 'm', hint: 'h' } };
    const checks = agentChecks({
      agent: { ...less, restart: { action: 'backOff', inSeconds: 9.5 } },
      schedExt: { state: 'disabled', ops: '' },
      kept: [],
      nowMs: NOW_MS,
    });
    expect(bad(checks)).toEqual([verdict]);
    expect(checks[0]).toMatchObject({
      text: `mode advisory instead of enforce: ${code}: m; tried again in 10 s`,
      next: 'h',
    });
  });

  it('and the kernel should say the same', () => {
    const about = { kept: [], nowMs: NOW_MS };
    expect(bad(agentChecks({ ...about, agent: answer, schedExt: { state: 'disabled', ops: '' } }))).toEqual([
      'scheduler warn',
    ]);
    expect(bad(agentChecks({ ...about, agent: none, schedExt: ours }))).toEqual([
      'agent warn',
      'scheduler warn',
    ]);
    expect(bad(agentChecks({ ...about, agent: none, schedExt: undefined }))).toEqual(['agent warn']);
  });
});

describe('the last exit', () => {
  const last = (kept: Parameters<typeof agentChecks>[0]['kept'], agent: AgentAnswer | typeof none = none) =>
    agentChecks({ agent, kept, schedExt: undefined, nowMs: NOW_MS }).at(-1);

  it('is told with its age, its cause and its dump', () => {
    expect(last([record(1026, 90, 'CPU states')])).toEqual({
      id: 'last-exit',
      status: 'warn',
      text: '2026-11-24T10:30:00.000Z (90 min ago): stall: why: what, dump of 10 characters kept',
      next: 'scx-slo doctor --dump shows it whole',
    });
    expect(last([])).toMatchObject({ status: 'ok' });
    expect(last(failure('SLO_E_STATE_DIR', 'unreadable', 'EACCES', 'be root'))).toMatchObject({
      status: 'warn',
      next: 'be root',
    });
  });

  it('that was a hotplug hides no error before it', () => {
    const hotplug = record(66, 1, '', 1n << 48n);
    expect(last([hotplug])).toMatchObject({ status: 'ok', text: expect.stringContaining('hotplug') });
    expect(last([hotplug, record(1024, 5)])).toMatchObject({
      status: 'warn',
      text: expect.stringContaining('5 min ago): error'),
    });
  });

  it('comes from the agent before the disk', () => {
    const [fresh, old] = [record(1026, 1, 'new'), record(1026, 99, 'old')];
    const both = { agent: { ...answer, exits: [record(67, 0), fresh] }, kept: [old] };
    expect(dumpOf(exitsOf(both))).toBe(fresh);
    expect(dumpOf(exitsOf({ agent: none, kept: [old] }))).toBe(old);
    expect(dumpOf([record(67, 0)])).toBeUndefined();
  });
});

describe('the report', () => {
  const diagnosis = (text: string) => ({
    wanted: 'enforce',
    checks: [
      { id: 'kernel', status: 'ok' as const, text: 'Linux 7.3' },
      { id: 'agent', status: 'fail' as const, text, next: 'do this' },
    ],
    exits: [record(1026, 1, 'CPU\tstates\n\u001b[31mred')],
  });

  it('has one line a check, with what to do next', () => {
    expect(textReport(diagnosis('broken\n  twice'), undefined)).toBe(
      [
        'OK    kernel               Linux 7.3',
        'FAIL  agent                broken | twice. Next: do this',
        'judged for mode enforce: 1 ok, 0 warnings, 1 failure',
        '',
      ].join('\n'),
    );
    expect(isHealthy(diagnosis('x'))).toBe(false);
  });

  it('prints the dump whole, and nothing that a terminal would act on', () => {
    const { exits } = diagnosis('x');
    const text = textReport(diagnosis('x'), { record: exits[0] });
    expect(text).toContain('\n\nCPU\tstates\n [31mred\n');
    expect(textReport(diagnosis('x'), { record: undefined })).toContain('no dump is kept');
  });

  it('is valid JSON whatever was found', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(JSON.parse(jsonReport(diagnosis(text)))).toMatchObject({ ok: false, wanted: 'enforce' });
        const lines = textReport(diagnosis(text), undefined).split('\n');
        expect(lines).toHaveLength(4);
      }),
    );
  });
});

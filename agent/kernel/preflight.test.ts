import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GOOD_KERNEL_TYPES, GOOD_NODE_FACTS } from '../../test/fakes/node-facts.ts';
import { failure } from '../failure.ts';
import type { NodeFacts } from './node-facts.ts';
import { type PreflightOptions, preflight } from './preflight.ts';

const broken = failure('SLO_E_BTF', 'broken', 'wrong magic 0x0', 'build it again');
const strict: PreflightOptions = { allowAttachHang: false };

const judge = (change: Partial<NodeFacts>, options: Partial<PreflightOptions> = {}) =>
  preflight({ ...GOOD_NODE_FACTS, ...change }, { ...strict, ...options });

describe('preflight', () => {
  it('lets a good node enforce', () => {
    expect(judge({})).toEqual({ canObserve: true, canEnforce: true, reasons: [], kernel: '7.3.4' });
  });

  it.each<[string, Partial<NodeFacts>, string, boolean]>([
    ['no BTF', { types: undefined }, 'NoBtf', false],
    ['unreadable BTF', { types: broken }, 'MalformedBtf', false],
    ['no cgroup v2', { cgroup2: undefined }, 'NoCgroupV2', false],
    ['no capabilities', { capabilities: 0n }, 'NoCapability', false],
    ['CAP_BPF alone', { capabilities: 1n << 39n }, 'NoCapability', false],
    ['no sched_ext', { schedExt: undefined }, 'NoSchedExt', true],
    ['hybrid cgroups', { cpuControllerV2: false }, 'NoCgroupV2', true],
    [
      'a leaked kfunc argument',
      { types: { ...GOOD_KERNEL_TYPES, createDsqParameters: 3 } },
      'MalformedBtf',
      true,
    ],
    [
      'no kfunc prototype',
      { types: { ...GOOD_KERNEL_TYPES, createDsqParameters: undefined } },
      'MalformedBtf',
      true,
    ],
    ['another scheduler', { schedExt: { state: 'enabled', ops: 'lavd_1.0' } }, 'OtherScheduler', true],
    ['isolcpus', { commandLine: 'quiet isolcpus=1-3' }, 'IsolatedCpus', true],
    ['isolcpus with domain', { commandLine: 'isolcpus=nohz,domain,1' }, 'IsolatedCpus', true],
    ['the attach hang', { types: { ...GOOD_KERNEL_TYPES, enableWorkers: [] } }, 'AttachHang', true],
  ])('refuses to enforce with %s', (_, change, code, canObserve) => {
    const verdict = judge(change);
    expect(verdict.canEnforce).toBe(false);
    expect(verdict.canObserve).toBe(canObserve);
    expect(verdict.reasons.map((entry) => entry.code)).toEqual([code]);
  });

  it('names the other scheduler', () => {
    const other = judge({ schedExt: { state: 'enabled', ops: 'lavd_1.0' } });
    expect(other.reasons[0]?.message).toContain('`lavd_1.0`');
  });

  it.each<[string, Partial<NodeFacts>]>([
    ['CAP_SYS_ADMIN in place of the newer ones', { capabilities: 1n << 21n }],
    ['our own scheduler', { schedExt: { state: 'enabled', ops: 'scx_slo' } }],
    ['isolcpus without domain', { commandLine: 'isolcpus=managed_irq,nohz,1-3' }],
    ['an empty isolcpus', { commandLine: 'isolcpus=' }],
  ])('accepts %s', (_, change) => {
    expect(judge(change).canEnforce).toBe(true);
  });

  it('lets the operator take the one risk that can be taken', () => {
    expect(
      judge({ types: { ...GOOD_KERNEL_TYPES, enableWorkers: [] } }, { allowAttachHang: true }).canEnforce,
    ).toBe(true);
  });

  it('always explains a refusal, and never lets a node enforce that cannot observe', () => {
    const facts = fc.record<NodeFacts>({
      kernel: fc.string(),
      capabilities: fc.option(fc.bigInt({ min: 0n, max: 2n ** 41n }), { nil: undefined }),
      types: fc.constantFrom(undefined, broken, GOOD_KERNEL_TYPES, {
        ...GOOD_KERNEL_TYPES,
        enableWorkers: [],
      }),
      schedExt: fc.option(
        fc.record({
          state: fc.constantFrom('disabled', 'enabling', 'enabled', 'disabling'),
          ops: fc.constantFrom('', 'scx_slo', 'other'),
        }),
        { nil: undefined },
      ),
      cgroup2: fc.option(fc.constant('/sys/fs/cgroup'), { nil: undefined }),
      cpuControllerV2: fc.boolean(),
      commandLine: fc.oneof(fc.string(), fc.stringMatching(/^isolcpus=[a-z0-9,-]*$/)),
    });
    const options = fc.record({ allowAttachHang: fc.boolean() });
    fc.assert(
      fc.property(facts, options, (node, chosen) => {
        const verdict = preflight(node, chosen);
        expect(verdict.canEnforce).toBe(verdict.reasons.length === 0);
        expect(verdict.canObserve || !verdict.canEnforce).toBe(true);
        expect(verdict.reasons.every((entry) => entry.message !== '' && entry.hint !== '')).toBe(true);
      }),
    );
  });
});

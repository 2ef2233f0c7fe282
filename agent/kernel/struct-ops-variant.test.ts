import { describe, expect, it } from 'vitest';
import { chooseVariant } from './struct-ops-variant.ts';

const base = { name: 'scx_slo_ops', members: ['enqueue', 'init'] };
const bandwidth = { name: 'scx_slo_ops_bw', members: ['enqueue', 'init', 'cgroup_set_bandwidth'] };

describe('chooseVariant', () => {
  it('takes the richest that the kernel knows entirely, in any order', () => {
    const old = ['enqueue', 'init', 'exit'];
    const recent = [...old, 'cgroup_set_bandwidth'];
    for (const variants of [
      [base, bandwidth],
      [bandwidth, base],
    ]) {
      expect(chooseVariant(variants, recent)).toBe(bandwidth);
      expect(chooseVariant(variants, old)).toBe(base);
    }
  });

  it('says what is missing where none fits', () => {
    expect(chooseVariant([base], ['enqueue'])).toMatchObject({
      code: 'SLO_E_SCHED_EXT_OPS',
      why: 'scx_slo_ops needs init',
    });
    expect(chooseVariant([], [])).toMatchObject({ why: 'the object has no struct_ops' });
  });
});

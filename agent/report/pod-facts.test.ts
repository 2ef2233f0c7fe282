import { describe, expect, it } from 'vitest';
import type { NodeMode } from '../node-mode.ts';
import { NO_CLAIMS } from '../plan/claims.ts';
import type { DesiredSlot } from '../plan/desired-slot.ts';
import type { Plan } from '../plan/plan.ts';
import type { PodTarget, SourceError } from '../pods/target.ts';
import { FactMemory, podFacts } from './pod-facts.ts';

const SLO = { budgetMs: 50, importance: 80, shed: true, source: 'pod', clamped: [] } as const;

const cart = (more: Partial<PodTarget> = {}): PodTarget => ({
  kind: 'pod',
  uid: 'u1',
  cgroupUid: 'u1',
  namespace: 'shop',
  name: 'cart',
  slo: { ...SLO, clamped: [] },
  containers: [],
  podIps: [],
  cpuRequestMilli: 100,
  problems: [],
  ...more,
});

const ENFORCING: NodeMode = { mode: 'enforce', wanted: 'enforce', reason: undefined };
const reason = (code: 'OtherScheduler' | 'BackOff') => ({
  code,
  message: 'another scheduler runs',
  hint: 'stop it',
});

const planOf = (pods: readonly PodTarget[], more: Partial<Plan> = {}): Plan => ({
  // Of a slot only the owner matters here.
  slots: pods.map((pod) => ({ owner: { kind: 'pod', pod } }) as DesiredSlot),
  unresolved: [],
  conflicts: [],
  evicted: [],
  claims: NO_CLAIMS,
  ...more,
});

const factsOf = (
  pods: readonly PodTarget[],
  { mode = ENFORCING, plan = planOf(pods), errors = [] as SourceError[] } = {},
) => {
  const facts = podFacts(plan, { targets: [...pods], errors }, { mode, canEnforce: true });
  return [...facts.values()].flatMap((of) => of.facts.map(({ reason: why, note }) => `${why}: ${note}`));
};

describe('what there is to say of a pod', () => {
  it('is nothing where it asks for nothing', () => {
    expect(factsOf([cart({ slo: undefined })])).toEqual([]);
  });

  it('is that its SLO is in the kernel, once its cgroup has a slot', () => {
    expect(factsOf([cart()])).toEqual(['SLOApplied: budget 50 ms, importance 80 (from pod)']);
    expect(factsOf([cart()], { plan: planOf([], { unresolved: [cart()] }) })).toEqual([]);
  });

  it('names the containers that have their own', () => {
    const own = { ...SLO, clamped: [], budgetMs: 5, source: 'container' as const };
    const pod = cart({ slo: undefined, containers: [{ name: 'db', slo: own }, { name: 'log' }] });
    expect(factsOf([pod])).toEqual(['SLOApplied: db: budget 5 ms, importance 80 (from container)']);
  });

  it('is what its namespace cut', () => {
    const clamped = [{ field: 'importance' as const, from: 95, to: 90 }];
    expect(factsOf([cart({ slo: { ...SLO, clamped } })])).toContain(
      'SLOClamped: namespace shop allows less: importance:95>90',
    );
  });

  it('is that the node cannot enforce, where it was told to and that will last', () => {
    const mode: NodeMode = { mode: 'advisory', wanted: 'enforce', reason: reason('OtherScheduler') };
    const text = 'SLOUnenforceable: the node is in mode advisory (OtherScheduler): not enforced here';
    expect(factsOf([cart()], { mode })).toContain(text);
    expect(factsOf([cart({ slo: { ...SLO, clamped: [], mode: 'advisory' } })], { mode })).not.toContain(text);
    expect(factsOf([cart()], { mode: { ...mode, reason: reason('BackOff') } })).toHaveLength(1);
    expect(
      factsOf([cart()], { mode: { mode: 'observe', wanted: 'observe', reason: undefined } }),
    ).toHaveLength(1);
  });

  it('is that no slot is left for it', () => {
    const plan = planOf([], { evicted: [{ path: '/kubepods/pod-u1', importance: 80 }] });
    expect(factsOf([cart()], { plan })).toEqual(['SLOUnenforceable: all slots in the kernel are taken']);
  });

  it('is each error of its own, and none of a file', () => {
    const pod = { namespace: 'shop', name: 'gone', uid: 'u2' };
    const errors = [
      { code: 'SLO_E_DRIFT', file: 'pod shop/gone', message: 'differs', pod },
      { code: 'SLO_E_CONFLICT', file: 'pod shop/gone', message: 'two', pod },
      { code: 'SLO_E_BUDGET', file: 'pod shop/gone', message: 'bad', pod },
      { code: 'SLO_E_YAML', file: 'x.yaml', message: 'no YAML' },
    ];
    expect(factsOf([], { errors })).toEqual(['SLODrift: differs', 'SLOConflict: two', 'SLOInvalid: bad']);
  });
});

describe('news of pods', () => {
  const now = (...pods: PodTarget[]) =>
    podFacts(planOf(pods), { targets: pods, errors: [] }, { mode: ENFORCING, canEnforce: true });
  const clamped = cart({ slo: { ...SLO, clamped: [{ field: 'importance', from: 95, to: 90 }] } });

  it('of an agent that starts again are its warnings only', () => {
    expect(new FactMemory().news(now(clamped)).map((news) => news.reason)).toEqual(['SLOClamped']);
  });

  it('come once, and again when they changed or came back', () => {
    const memory = new FactMemory();
    memory.news(now());
    expect(memory.news(now(cart())).map((news) => news.reason)).toEqual(['SLOApplied']);
    expect(memory.news(now(cart()))).toEqual([]);
    const edited = cart({ slo: { ...SLO, clamped: [], budgetMs: 20 } });
    expect(memory.news(now(edited)).map((news) => news.note)).toEqual([
      'budget 20 ms, importance 80 (from pod)',
    ]);
    expect(memory.news(now())).toEqual([]);
    expect(memory.news(now(edited))).toHaveLength(1);
  });
});

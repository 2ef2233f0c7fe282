import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ResolveInput, resolve } from './resolve.ts';

const on = (
  annotations: ResolveInput['annotations'],
  more: Partial<Omit<ResolveInput, 'annotations'>> = {},
) => resolve({ annotations, containerNames: ['api', 'log'], ...more });

describe('resolve', () => {
  it('gives a pod with nothing no SLO', () => {
    for (const annotations of [undefined, null, {}, { 'prometheus.io/scrape': 'true' }]) {
      expect(on(annotations)).toEqual({ pod: undefined, containers: new Map(), problems: [] });
    }
  });

  it('takes budget and importance from the pod', () => {
    const { pod, problems } = on({ 'scx-slo.io/budget-ms': '2.5', 'scx-slo.io/importance': '80' });
    expect(pod).toEqual({ budgetMs: 2.5, importance: 80, shed: true, source: 'pod', clamped: [] });
    expect(problems).toEqual([]);
  });

  it('defaults the budget where only importance is given, and importance where only the budget is', () => {
    expect(on({ 'scx-slo.io/importance': '70' }).pod).toMatchObject({
      budgetMs: 100,
      importance: 70,
      source: 'default',
    });
    expect(on({ 'scx-slo.io/budget-ms': '20' }).pod).toMatchObject({ importance: 50, source: 'pod' });
  });

  it('makes no SLO of mode or shed alone', () => {
    expect(on({ 'scx-slo.io/mode': 'enforce', 'scx-slo.io/shed': 'true' }).pod).toBeUndefined();
  });

  it('carries the mode', () => {
    const { pod } = on({ 'scx-slo.io/budget-ms': '20', 'scx-slo.io/mode': 'advisory' });
    expect(pod).toMatchObject({ mode: 'advisory' });
  });

  it('takes shed "false" only where the namespace allows it, and says so', () => {
    const asked = { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/shed': 'false' };
    expect(on(asked).pod).toMatchObject({
      shed: true,
      clamped: [{ field: 'shed', from: false, to: true }],
    });
    const allowed = { namespaceAnnotations: { 'caps.scx-slo.io/allow-unsheddable': 'true' } };
    expect(on(asked, allowed).pod).toMatchObject({ shed: false, clamped: [] });
    const odd = { namespaceAnnotations: { 'caps.scx-slo.io/allow-unsheddable': 'yes' } };
    expect(on(asked, odd)).toMatchObject({ pod: { shed: true }, problems: [{ code: 'SLO_E_CAP' }] });
  });

  it('walks down the levels value by value', () => {
    const levels = {
      latencySlo: { source: 'latencyslo/web', importance: 60 } as const,
      namespaceAnnotations: { 'scx-slo.io/budget-ms': '200', 'scx-slo.io/importance': '40' },
      clusterDefault: { source: 'cluster', budgetMs: 500, importance: 10, shed: false } as const,
    };
    expect(on({}, levels).pod).toEqual({
      budgetMs: 200,
      importance: 60,
      shed: false,
      source: 'namespace',
      clamped: [],
    });
    expect(on({ 'scx-slo.io/budget-ms': '30' }, levels).pod).toMatchObject({ budgetMs: 30, source: 'pod' });
    expect(on({}, { clusterDefault: levels.clusterDefault }).pod).toMatchObject({ source: 'cluster' });
  });

  it('does not turn a whole namespace into latency work by a default importance', () => {
    expect(on({}, { namespaceAnnotations: { 'scx-slo.io/importance': '60' } }).pod).toBeUndefined();
    expect(on({}, { clusterDefault: { source: 'cluster', importance: 60 } }).pod).toBeUndefined();
    expect(on({}, { latencySlo: { source: 'latencyslo/x', importance: 60 } }).pod).toMatchObject({
      budgetMs: 100,
    });
  });

  it('lets a bad value fall to the next level, with a problem', () => {
    const { pod, problems } = on(
      { 'scx-slo.io/budget-ms': 'fast' },
      { namespaceAnnotations: { 'scx-slo.io/budget-ms': '200' } },
    );
    expect(pod).toMatchObject({ budgetMs: 200, source: 'namespace' });
    expect(problems).toEqual([
      {
        code: 'SLO_E_BUDGET',
        key: 'scx-slo.io/budget-ms',
        value: 'fast',
        message: 'scx-slo.io/budget-ms: "fast" is not 1 .. 10000 (decimal ms); ignored',
      },
    ]);
  });

  it('overrides one container and leaves the others with the pod', () => {
    const { pod, containers, problems } = on({
      'scx-slo.io/budget-ms': '50',
      'scx-slo.io/importance': '80',
      'budget-ms.scx-slo.io/log': '1000',
      'importance.scx-slo.io/log': '5',
      'budget-ms.scx-slo.io/api': '50',
    });
    expect(pod).toMatchObject({ budgetMs: 50, importance: 80 });
    expect([...containers]).toEqual([
      ['log', { budgetMs: 1000, importance: 5, shed: true, source: 'container', clamped: [] }],
    ]);
    expect(problems).toEqual([]);
  });

  it('gives a container an SLO in a pod that has none', () => {
    const { pod, containers } = on({ 'importance.scx-slo.io/api': '60' });
    expect(pod).toBeUndefined();
    expect(containers.get('api')).toMatchObject({ budgetMs: 100, importance: 60, source: 'default' });
  });

  it('warns of a container that does not exist, and of containers named like object properties', () => {
    for (const name of ['db', 'constructor', '__proto__']) {
      const { containers, problems } = on(JSON.parse(`{"budget-ms.scx-slo.io/${name}":"5"}`));
      expect(containers.size).toBe(0);
      expect(problems.map((p) => p.code)).toEqual(['SLO_E_UNKNOWN_CONTAINER']);
    }
  });

  it('caps importance at 90 where the namespace says nothing, and says so', () => {
    expect(on({ 'scx-slo.io/importance': '95' }).pod).toMatchObject({
      importance: 90,
      clamped: [{ field: 'importance', from: 95, to: 90 }],
    });
    const free = { namespaceAnnotations: { 'caps.scx-slo.io/max-importance': '100' } };
    expect(on({ 'scx-slo.io/importance': '95' }, free).pod).toMatchObject({ importance: 95, clamped: [] });
  });

  it('applies the caps of the namespace to pod and containers alike', () => {
    const namespaceAnnotations = {
      'caps.scx-slo.io/max-importance': '30',
      'caps.scx-slo.io/min-budget-ms': '20',
    };
    const { pod, containers } = on(
      { 'scx-slo.io/budget-ms': '5', 'scx-slo.io/importance': '31', 'budget-ms.scx-slo.io/api': '100' },
      { namespaceAnnotations },
    );
    expect(pod).toMatchObject({
      budgetMs: 20,
      importance: 30,
      clamped: [
        { field: 'budget-ms', from: 5, to: 20 },
        { field: 'importance', from: 31, to: 30 },
      ],
    });
    expect(containers.get('api')).toMatchObject({
      budgetMs: 100,
      clamped: [{ field: 'importance', from: 31, to: 30 }],
    });
  });

  it('reports a bad cap and falls back to the built-in one', () => {
    const { pod, problems } = on(
      { 'scx-slo.io/importance': '95' },
      { namespaceAnnotations: { 'caps.scx-slo.io/max-importance': '101' } },
    );
    expect(pod?.importance).toBe(90);
    expect(problems[0]?.message).toBe(
      'namespace caps.scx-slo.io/max-importance: "101" is not 1 .. 100 (integer); ignored',
    );
  });

  it('takes from a stale namespace what tightens, and grants nothing by it', () => {
    const asked = {
      'scx-slo.io/budget-ms': '5',
      'scx-slo.io/importance': '95',
      'scx-slo.io/shed': 'false',
    };
    const generous = {
      'caps.scx-slo.io/max-importance': '100',
      'caps.scx-slo.io/allow-unsheddable': 'true',
      'caps.scx-slo.io/min-budget-ms': '20',
    };
    const stale = (namespaceAnnotations: Record<string, string>) =>
      on(asked, { namespaceAnnotations, namespaceIsStale: true }).pod;
    expect(stale(generous)).toMatchObject({ budgetMs: 20, importance: 90, shed: true });
    expect(stale({ 'caps.scx-slo.io/max-importance': '30' })).toMatchObject({ importance: 30 });
  });

  it('warns of unknown keys under our domain only, never of the record', () => {
    const { problems } = on({
      'scx-slo.io/budget': '50',
      'scx-slo.io/budgetMs': '50',
      'scx-slo.io/webhook': 'disabled',
      'caps.scx-slo.io/max-importance': '100',
      'effective.scx-slo.io/budget-ms': '1',
      'effective-budget-ms.scx-slo.io/api': '1',
      'notscx-slo.io/budget-ms': '1',
      'scx-slo.io': '1',
    });
    expect(problems.map((p) => p.message)).toEqual([
      'scx-slo.io/budget: unknown key; ignored',
      'scx-slo.io/budgetMs: unknown key, did you mean scx-slo.io/budget-ms?; ignored',
      'scx-slo.io/webhook: is a label, not an annotation; ignored',
      'caps.scx-slo.io/max-importance: counts on a namespace only; ignored',
    ]);
  });

  it('checks what is asked of the webhook', () => {
    expect(on({ 'scx-slo.io/inject': 'endpoint' }).problems).toEqual([]);
    expect(on({ 'scx-slo.io/inject': 'sidecar', 'scx-slo.io/app-port': '8080' }).problems).toEqual([]);
    for (const annotations of [
      { 'scx-slo.io/inject': 'true' },
      { 'scx-slo.io/inject': 'sidecar' },
      { 'scx-slo.io/app-port': '65536' },
    ]) {
      expect(on(annotations).problems.map((p) => p.code)).toEqual(['SLO_E_INJECT']);
    }
  });

  const keys = fc.constantFrom(
    'scx-slo.io/budget-ms',
    'scx-slo.io/importance',
    'scx-slo.io/mode',
    'scx-slo.io/shed',
    'scx-slo.io/inject',
    'budget-ms.scx-slo.io/api',
    'importance.scx-slo.io/log',
    'budget-ms.scx-slo.io/nobody',
  );
  const anyValue = fc.oneof(fc.jsonValue(), fc.integer({ min: -5, max: 20_000 }).map(String), fc.string());

  it('survives any JSON, stays within bounds and caps, and names every bad value', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(keys, fc.string()), anyValue), (annotations) => {
        const { pod, containers, problems } = on(annotations);
        for (const slo of [pod, ...containers.values()]) {
          if (slo !== undefined) {
            expect(slo.budgetMs).toBeGreaterThanOrEqual(1);
            expect(slo.budgetMs).toBeLessThanOrEqual(10_000);
            expect(slo.importance).toBeGreaterThanOrEqual(1);
            expect(slo.importance).toBeLessThanOrEqual(90);
          }
        }
        for (const problem of problems) {
          expect(problem.message.length).toBeLessThanOrEqual(256);
          expect(problem.message).toMatch(/^[\x20-\x7e]+$/);
          expect(problem.value.length).toBeLessThanOrEqual(64);
        }
        if (pod === undefined && typeof annotations['scx-slo.io/budget-ms'] !== 'undefined') {
          expect(problems.map((p) => p.key)).toContain('scx-slo.io/budget-ms');
        }
      }),
    );
  });

  it('never loses a good value for a bad neighbour', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), anyValue), fc.integer({ min: 1, max: 10_000 }), (noise, ms) => {
        const { pod } = on({ ...noise, 'scx-slo.io/budget-ms': String(ms) });
        expect(pod?.budgetMs).toBe(ms);
        expect(pod?.source).toBe('pod');
      }),
    );
  });

  it('takes whatever JSON stands where the annotations should be', () => {
    for (const odd of [[], 'text', 7, true, [['scx-slo.io/budget-ms', '5']]]) {
      expect(on(odd as unknown as Record<string, unknown>).pod).toBeUndefined();
    }
  });
});

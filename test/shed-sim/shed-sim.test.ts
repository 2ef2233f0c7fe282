import { describe, expect, it } from 'vitest';
import { type Figures, figuresOf, worstOf } from './figures.ts';
import { FAULTS, type Scenario, SEEDS, SHED, stepTo, UNSHED } from './scenarios.ts';
import { simulate, type World } from './world.ts';

const runsOf = ({ world }: Pick<Scenario, 'world'>): Figures[] =>
  SEEDS.map((seed) => figuresOf(simulate({ ...world, seed }), world.warmUpMs));

const unshed = (name: string): Scenario => {
  const found = UNSHED.find((scenario) => scenario.name.startsWith(name));
  if (found === undefined) throw new Error(`no world ${name}`);
  return found;
};

const shed = (name: string): Scenario => {
  const found = SHED.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`no world ${name}`);
  return found;
};

describe('the simulated node', () => {
  it.each(UNSHED.filter(({ world }) => world.hogs.length === 0))('collapses: $name', (scenario) => {
    const { top, goodput } = worstOf(runsOf(scenario));
    expect(top).toBeLessThan(0.05);
    expect(goodput).toBeLessThan(0.05);
  });

  it.each(SHED.filter(({ bounds }) => Object.keys(bounds).length > 0))(
    'keeps its bounds: $name',
    (scenario) => {
      const { bounds } = scenario;
      const worst = worstOf(runsOf(scenario));
      expect(worst.top).toBeGreaterThanOrEqual(bounds.top ?? 0);
      expect(worst.goodput).toBeGreaterThanOrEqual(bounds.goodput ?? 0);
      expect(worst.refused).toBeLessThanOrEqual(bounds.refused ?? 1);
      expect(worst.swing).toBeLessThanOrEqual(bounds.swing ?? 1);
    },
  );

  it('is no worse off for shedding beside a hog that nobody can shed', () => {
    const without = worstOf(runsOf(unshed('fair, threads, 0.7 x and a hog')));
    const withShedding = worstOf(runsOf(shed('fair, threads, 0.7 x and a hog')));
    expect(withShedding.top).toBeGreaterThan(without.top);
    expect(withShedding.goodput).toBeGreaterThanOrEqual(without.goodput);
  });

  it('refuses the low priorities of a service first: the highest fifth stays all but whole', () => {
    const { pods } = simulate(shed('EDF, threads, 1.5 x').world);
    const middle = pods.find(({ name }) => name === 'B');
    expect(middle?.refused).toBeGreaterThan(0.2);
    expect(middle?.vipRefused).toBeLessThan(0.01);
  });

  it('gives the same figures for the same seed', () => {
    const { world } = shed('EDF, threads, 2 x');
    expect(figuresOf(simulate(world), world.warmUpMs)).toEqual(figuresOf(simulate(world), world.warmUpMs));
  });
});

const levelsOf = (world: World, name: string) =>
  simulate(world).pods.find((pod) => pod.name === name)?.levels ?? [];

describe('a step of the load at 5 s', () => {
  it.each([1.5, 2, 3])(
    'from 0.7 to %d is answered by the least important as soon as they are late',
    (load) => {
      for (const seed of SEEDS) {
        const levels = levelsOf(stepTo(load, { seed }), 'C');
        expect(levels.filter(({ atMs }) => atMs < 5_000).every(({ level }) => level === 0)).toBe(true);
        const first = levels.find(({ level }) => level > 0)?.atMs ?? Number.POSITIVE_INFINITY;
        // The backlog must grow to a fault first, which takes longer the less it is.
        expect(first).toBeLessThanOrEqual(load < 2 ? 6_600 : 6_000);
      }
    },
  );

  it('down again lets everybody in within eight seconds', () => {
    for (const seed of SEEDS) {
      const world = stepTo(2, { seed, load: (atMs) => (atMs < 5_000 ? 2 : 0.5), endMs: 14_000 });
      for (const name of ['A', 'B', 'C']) {
        const late = levelsOf(world, name).filter(({ atMs }) => atMs > 13_000);
        expect(late.length).toBeGreaterThan(0);
        expect(late.every(({ level }) => level === 0)).toBe(true);
      }
    }
  });

  it('that lasts for 200 ms is a burst: next to nothing is refused', () => {
    for (const seed of SEEDS) {
      const burst = (atMs: number): number => (atMs >= 5_000 && atMs < 5_200 ? 1.5 : 0.6);
      expect(simulate(stepTo(1.5, { seed, load: burst })).refused).toBeLessThan(0.005);
    }
  });
});

describe('feeds that stop', () => {
  it('go on by pressure alone through an overload', () => {
    const { top, goodput } = worstOf(runsOf({ world: FAULTS.kernelGone }));
    expect(top).toBeGreaterThanOrEqual(0.95);
    expect(goodput).toBeGreaterThanOrEqual(0.8);
  });

  it('refuse nothing by pressure alone at 0.8 x', () => {
    expect(worstOf(runsOf({ world: FAULTS.kernelGoneInPeace })).refused).toBeLessThanOrEqual(0.02);
  });

  it('let everybody in ten seconds after the last number, whatever it said', () => {
    const { pods, refused } = simulate(FAULTS.allGoneThenCalm);
    expect(pods.map(({ levels }) => levels.find(({ atMs }) => atMs === 6_000)?.level)).not.toEqual([0, 0, 0]);
    expect(refused).toBe(0);
    expect(pods.every(({ good }) => good > 0.99)).toBe(true);
  });

  it('for two seconds cost the most important less than a tenth', () => {
    expect(worstOf(runsOf({ world: FAULTS.shortGap })).top).toBeGreaterThanOrEqual(0.9);
  });
});

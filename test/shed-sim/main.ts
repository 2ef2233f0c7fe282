/** Prints what the shed controller does in the simulated worlds, and writes build/bench/shed-sim.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { type Figures, figuresOf, worstOf } from './figures.ts';
import { type Bounds, type Scenario, SEEDS, SHED, UNSHED } from './scenarios.ts';
import { simulate } from './world.ts';

const OUT = 'build/bench/shed-sim.json';

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

const boundsText = ({ top, goodput, refused, swing }: Bounds): string =>
  [
    top === undefined ? '' : `A >= ${percent(top)}`,
    goodput === undefined ? '' : `g >= ${percent(goodput)}`,
    refused === undefined ? '' : `refused <= ${percent(refused)}`,
    swing === undefined ? '' : `swing <= ${swing}`,
  ]
    .filter((text) => text !== '')
    .join(', ');

const row = ({ name, bounds }: Scenario, figures: Figures): string => {
  const { top, goodput, refused, swing, classes } = figures;
  const good = classes.map((one) => percent(one.good)).join(' / ');
  const p99 = classes.map(({ p99Ms }) => (p99Ms >= 10_000 ? '> 10 s' : `${p99Ms.toFixed(0)}`)).join(' / ');
  return `| ${name} | ${percent(top)} | ${percent(goodput)} | ${percent(refused)} | ${swing.toFixed(2)} | ${good} | ${p99} | ${boundsText(bounds)} |`;
};

const HEAD = [
  `| world (worst of seeds ${SEEDS.join(', ')}) | A in budget | g | refused | swing | A / B / C in budget | p99 ms | asserted |`,
  '|---|---|---|---|---|---|---|---|',
];

const results = [...UNSHED, ...SHED].map((scenario) => {
  const runs = SEEDS.map((seed) => figuresOf(simulate({ ...scenario.world, seed }), scenario.world.warmUpMs));
  return { scenario, runs, worst: worstOf(runs) };
});

process.stdout.write(
  `${[...HEAD, ...results.map(({ scenario, worst }) => row(scenario, worst))].join('\n')}\n`,
);
mkdirSync('build/bench', { recursive: true });
const plain = results.map(({ scenario: { name, bounds }, runs }) => ({ name, bounds, runs }));
writeFileSync(
  OUT,
  `${JSON.stringify({ scenario: 'shed-sim', clock: 'simulated', seeds: SEEDS, results: plain }, null, 1)}\n`,
);
process.stdout.write(`written: ${OUT}\n`);

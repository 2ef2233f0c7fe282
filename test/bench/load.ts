/**
 * Open-loop load generator: `load.mjs SPEC.json RESULT.json`. It never waits for an answer before it sends the
 * next request, so a slow service cannot slow the load down and hide its own latency.
 *
 * Start it outside of the pods' cgroups. With `realtimePriority` it is not subject to the scheduler that is judged. It prints `open` when its connections are open,
 * `soon` half a second before measuring starts, and one line of progress a second.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { argv, stdout } from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { type LoadSpec, runLoad } from './open-loop.ts';
import { isPacer, pacerData, runPacer } from './pacer.ts';

const main = async (): Promise<void> => {
  const [, , specFile = '', resultFile = ''] = argv;
  const spec: LoadSpec = JSON.parse(readFileSync(specFile, 'utf8'));
  const result = await runLoad(spec, new URL(import.meta.url), {
    onOpen: () => stdout.write('open\n'),
    onSoon: () => stdout.write('soon\n'),
    onSecond: (second) => stdout.write(`second ${second}\n`),
  });
  writeFileSync(resultFile, JSON.stringify(result));
};

if (!isMainThread && isPacer(pacerData)) runPacer(pacerData);
else if (import.meta.main) await main();

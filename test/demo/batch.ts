/** A noisy neighbour: `batch.mjs [N]` keeps N threads (4) busy for each CPU of the node, for ever. */
import { availableParallelism } from 'node:os';
import { isMainThread, Worker } from 'node:worker_threads';

const perCpu = Number(process.argv[2] ?? 4);

if (isMainThread) {
  for (let started = 0; started < perCpu * availableParallelism(); started += 1)
    new Worker(new URL(import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 8, stackSizeMb: 1 } });
  // As pid 1 of a container it has no default action for this.
  process.on('SIGTERM', () => process.exit(0));
} else {
  for (;;);
}

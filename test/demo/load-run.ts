/** One run of the load generator as a process of its own, with its progress passed on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { STEADY_ENGINE } from '../bench/engine-flags.ts';
import type { LoadResult, LoadSpec } from '../bench/open-loop.ts';

export interface LoadRunOptions {
  /** The bundled generator. */
  program: string;
  workDir: string;
  /** All connections are open. */
  onOpen: () => void;
  /** Half a second before the window, so that what this does is over by then. */
  onSoon: () => void;
  onSecond: (second: number) => void;
}

export const runLoadProcess = async (
  name: string,
  spec: LoadSpec,
  options: LoadRunOptions,
): Promise<LoadResult> => {
  const specFile = join(options.workDir, `${name}-load.json`);
  const resultFile = join(options.workDir, `${name}-load-result.json`);
  writeFileSync(specFile, JSON.stringify(spec));
  const child = spawn(process.execPath, [...STEADY_ENGINE, options.program, specFile, resultFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'open') options.onOpen();
    else if (line === 'soon') options.onSoon();
    else options.onSecond(Number(line.slice('second '.length)));
  }
  const [code] = await ended;
  if (code !== 0) throw new Error(`the load generator ended with ${code} in phase ${name}`);
  const result: LoadResult = JSON.parse(readFileSync(resultFile, 'utf8'));
  return result;
};

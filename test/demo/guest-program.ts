/** What the programs have in common that measure inside the machine under test: demo and bench. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';

const startedMs = performance.now();

/** A line with the seconds since the program's start. */
export const say = (text: string): void => {
  process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
};

/** Disks are slow in an emulated machine: node, these files and all in these folders must not be read later. */
export const readAhead = (folders: readonly string[], files: readonly string[] = []): void => {
  const found = folders.flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)));
  const all = [execPath, ...files, ...found];
  execFileSync('sh', ['-c', 'cat -- "$@" 2>/dev/null >/dev/null || true', 'sh', ...all]);
};

/** Ends the process when `main` has: 0, or 1 with the error printed. */
export const exitAfter = async (main: () => Promise<void>): Promise<never> => {
  try {
    await main();
    process.exit(0);
  } catch (error) {
    process.stdout.write(
      `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(1);
  }
};

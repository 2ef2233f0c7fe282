/** Programs of Debian for these tests, unpacked into the cache by debian-programs.sh. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Programs {
  directory: string;
  /** For processes that run them: where their libraries are. */
  env: Record<string, string>;
}

/** @returns why they are not there, as text, where they cannot be had. */
export const debianPrograms = (packages: readonly string[]): Programs | string => {
  const script = join(import.meta.dirname, 'debian-programs.sh');
  try {
    const directory = execFileSync(script, packages, { encoding: 'utf8', timeout: 300_000 }).trim();
    const machine = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
    const libraries = [join(directory, 'usr/lib', machine), join(directory, 'lib', machine)].filter(
      existsSync,
    );
    return { directory, env: { LD_LIBRARY_PATH: libraries.join(':') } };
  } catch (error) {
    const lines = String((error as { stderr?: unknown }).stderr ?? error).trim();
    return `${packages.join(' ')} of Debian cannot be had here: ${lines.split('\n').at(-1)}`;
  }
};

/** Reading a file that somebody else may have put there: it must not block, grow without end, or be no file. */
import { constants, type Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';

export interface FileProblem {
  /** For a person, without the file's name. */
  problem: string;
}

/**
 * Opens without blocking (a FIFO has no writer to wait for, a terminal does not become ours) and refuses what is
 * not a regular file, what is larger than `maxBytes`, and what changed while it was read.
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<Buffer | FileProblem> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const before = await handle.stat();
      if (!before.isFile()) {
        return { problem: `is ${kindOf(before)}, not a regular file` };
      }
      if (before.size > maxBytes) {
        return { problem: `has ${before.size} bytes, more than the ${maxBytes} allowed` };
      }
      const bytes = await handle.readFile();
      const after = await handle.stat();
      const isSame = after.size === bytes.length && after.mtimeMs === before.mtimeMs;
      return isSame ? bytes : { problem: 'changed while it was read; it will be read again' };
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { problem: errnoText(error) };
  }
}

/** Differs whenever the file behind `path` may differ, also where there is none. */
export async function fileSignature(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch (error) {
    return errnoText(error);
  }
}

const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'cannot be read: no permission',
  EPERM: 'cannot be read: no permission',
  ELOOP: 'is a loop of symbolic links',
  ENOTDIR: 'lies below something that is not a directory',
  ENXIO: 'is a socket or a device that cannot be read',
  ENAMETOOLONG: 'has a name that is too long',
};

/** What an error of a file operation means, for a person. */
export function errnoText(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return ERRNO_TEXTS[code ?? ''] ?? `cannot be read: ${code ?? String(error)}`;
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) {
    return 'a directory';
  }
  return stats.isFIFO() ? 'a FIFO' : 'a device or socket';
}

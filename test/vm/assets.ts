// The cached parts of a virtual machine, each made by the shell script that is the right tool for it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Kernel } from './kernels.ts';

export interface VmAssets {
  /** The command that starts QEMU. */
  readonly qemu: string;
  /** The kernel image that QEMU starts. */
  readonly vmlinuz: string;
  /** What `uname -r` says in it. Differs from the kernel asked for when that has left the archive. */
  readonly release: string;
  /** Its configuration, which a node has in /boot; the archive has none for some kernels. */
  readonly kernelConfig: string | undefined;
  /** Its modules, an ext4 disk image with the label scx-modules; the archive has none for some kernels. */
  readonly modulesImage: string | undefined;
  /** Root file system behind an MBR; only ever opened with snapshot=on. */
  readonly rootImage: string;
  /** node_modules, an ext4 disk image with the label scx-deps. */
  readonly depsImage: string;
}

/** Fetches or makes what is not cached, telling its progress on stderr. Throws when that is not possible. */
export async function prepareAssets(kernel: Kernel): Promise<VmAssets> {
  const qemu = await assetPath('qemu.sh');
  const rootImage = await assetPath('rootfs.sh');
  const depsImage = await assetPath('deps-disk.sh');
  const kernelDir =
    kernel.from === 'source' ? await assetPath('kernel-6.12.sh') : await assetPath('kernel.sh', kernel.abi);
  const ifThere = (name: string): string | undefined =>
    existsSync(join(kernelDir, name)) ? join(kernelDir, name) : undefined;
  return {
    qemu,
    vmlinuz: join(kernelDir, 'vmlinuz'),
    release: (await readFile(join(kernelDir, 'release'), 'utf8')).trim(),
    kernelConfig: ifThere('config'),
    modulesImage: ifThere('modules.img'),
    rootImage,
    depsImage,
  };
}

async function assetPath(script: string, ...args: string[]): Promise<string> {
  return (await runTool(join(import.meta.dirname, script), args)).trim();
}

/**
 * Runs a tool to its end and returns its output. Its stderr is passed through, or with `quiet` shown only when it
 * fails, in the error that is then thrown.
 */
export async function runTool(
  file: string,
  args: readonly string[],
  stderr: 'shown' | 'quiet' = 'shown',
): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', stderr === 'shown' ? 'inherit' : 'pipe'] });
  const ended = new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  const [output, errors, status] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
    ended,
  ]);
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status} ${errors.trim()}`.trim());
  return output;
}

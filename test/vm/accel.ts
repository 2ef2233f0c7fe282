// Whether KVM really runs a stock kernel here. /dev/kvm alone does not tell: a nested one can exist and start nothing.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { VmAssets } from './assets.ts';
import type { Accelerator } from './qemu.ts';

const probeLimitMs = 8000;

type Bootable = Pick<VmAssets, 'qemu' | 'vmlinuz'>;

/**
 * The accelerator to use on this machine, found by booting the kernel until its first console line. The verdict is
 * kept until the next boot or another QEMU. SCX_SLO_ACCEL=tcg or kvm overrides it.
 */
export async function chooseAccelerator(assets: Bootable): Promise<Accelerator> {
  const forced = process.env.SCX_SLO_ACCEL;
  if (forced === 'tcg' || forced === 'kvm') return forced;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return 'tcg';
  }
  const verdictFile = join(cacheRoot(), `kvm-${machineKey(assets.qemu)}`);
  const known = readVerdict(verdictFile);
  if (known !== undefined) return known;
  const verdict = (await bootsWithKvm(assets)) ? 'kvm' : 'tcg';
  mkdirSync(cacheRoot(), { recursive: true });
  writeFileSync(verdictFile, verdict);
  return verdict;
}

function cacheRoot(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'scx-slo');
}

function machineKey(qemu: string): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  return createHash('sha256').update(bootId).update(qemu).digest('hex').slice(0, 12);
}

function readVerdict(file: string): Accelerator | undefined {
  try {
    const verdict = readFileSync(file, 'utf8');
    return verdict === 'kvm' || verdict === 'tcg' ? verdict : undefined;
  } catch {
    return undefined;
  }
}

async function bootsWithKvm({ qemu, vmlinuz }: Bootable): Promise<boolean> {
  process.stderr.write('trying KVM (8 s at most)\n');
  const append = 'console=ttyS0 earlyprintk=serial panic=-1';
  const machine = [
    '-accel',
    'kvm',
    '-cpu',
    'max',
    '-m',
    '512M',
    '-nodefaults',
    '-display',
    'none',
    '-no-reboot',
  ];
  const child = spawn(qemu, [...machine, '-serial', 'stdio', '-kernel', vmlinuz, '-append', append], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let printed = '';
  return await new Promise<boolean>((resolve) => {
    const decide = (works: boolean): void => {
      clearTimeout(limit);
      child.kill('SIGKILL');
      resolve(works);
    };
    const limit = setTimeout(() => decide(false), probeLimitMs);
    child.once('error', () => decide(false));
    child.once('exit', () => decide(printed.includes('Linux version')));
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString('latin1');
      // Past memory set-up and the first timer: more than a few early lines.
      if (printed.includes('Linux version') && printed.includes('Calibrating delay loop')) decide(true);
    });
  });
}

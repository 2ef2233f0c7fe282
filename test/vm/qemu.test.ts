import { expect, test } from 'vitest';
import { type Machine, qemuArguments } from './qemu.ts';

const machine: Machine = {
  assets: {
    qemu: '/q',
    vmlinuz: '/k',
    release: '7.3.4',
    kernelConfig: undefined,
    modulesImage: undefined,
    rootImage: '/r',
    depsImage: '/d',
  },
  workImage: '/w',
  cpus: 16,
  memoryMb: 4096,
  clock: 'wall',
  accel: 'tcg',
};

const argumentOf = (args: readonly string[], name: string): string | undefined =>
  args[args.indexOf(name) + 1];

test('CPUs are in one socket unless a topology says otherwise', () => {
  expect(argumentOf(qemuArguments(machine, 3), '-smp')).toBe('16');
  const topology = 'sockets=2,cores=8,threads=1';
  expect(argumentOf(qemuArguments({ ...machine, topology }, 3), '-smp')).toBe(`16,${topology}`);
});

test('many CPUs are run in turn by one thread', () => {
  expect(argumentOf(qemuArguments({ ...machine, cpus: 2 }, 3), '-accel')).toBe('tcg,thread=multi');
  expect(argumentOf(qemuArguments(machine, 3), '-accel')).toBe('tcg,thread=single');
});

test('the virtual clock is one thread that counts instructions', () => {
  const virtual = qemuArguments({ ...machine, cpus: 1, clock: 'virtual' }, 3);
  expect(argumentOf(virtual, '-accel')).toBe('tcg,thread=single');
  expect(virtual).toContain('-icount');
  expect(qemuArguments(machine, 3)).not.toContain('-icount');
});

test('there is no network unless one is asked for, and then it reaches the host alone', () => {
  expect(argumentOf(qemuArguments(machine, 3), '-nic')).toBe('none');
  const network = { forwards: [{ hostPort: 12_345, guestPort: 30_090 }] };
  expect(argumentOf(qemuArguments({ ...machine, network }, 3), '-nic')).toBe(
    'user,model=virtio-net-pci,ipv6=off,hostfwd=tcp:127.0.0.1:12345-:30090',
  );
});

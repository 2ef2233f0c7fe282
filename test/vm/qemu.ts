// QEMU's command line.
import type { VmAssets } from './assets.ts';

/** Multi-threaded emulation or KVM on the host's clock, or one vCPU whose clock counts executed instructions. */
export type Clock = 'wall' | 'virtual';
export type Accelerator = 'kvm' | 'tcg';

/** A network between guest and host alone: the guest is 10.0.2.15, and the host's loopback is 10.0.2.2 to it. */
export interface VmNetwork {
  /** Connections to these ports of the host's loopback reach the guest. */
  readonly forwards: readonly { readonly hostPort: number; readonly guestPort: number }[];
}

export interface Machine {
  readonly assets: VmAssets;
  readonly workImage: string;
  readonly cpus: number;
  /** More of -smp than the number, such as `sockets=2,cores=8`: each socket has a last-level cache of its own. */
  readonly topology?: string;
  readonly memoryMb: number;
  readonly clock: Clock;
  readonly accel: Accelerator;
  /** Without it there is no network device. */
  readonly network?: VmNetwork;
}

/** The label-id of the root disk's MBR, set in rootfs.sh. */
const rootPartUuid = '5c51f001-01';

/**
 * Arguments for qemu-system-x86_64. The first serial port (kernel console) is on standard output, the second (output
 * of the command) on `commandFd`, a connected socket.
 */
export function qemuArguments(machine: Machine, commandFd: number): string[] {
  const { modulesImage } = machine.assets;
  return [
    ...[
      '-accel',
      acceleration(machine),
      ...(machine.clock === 'virtual' ? ['-icount', 'shift=1,sleep=off'] : []),
    ],
    ...['-cpu', 'max', '-smp', smp(machine), '-m', `${machine.memoryMb}M`],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-nic', nic(machine.network)],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=command,fd=${commandFd}`, '-serial', 'chardev:command'],
    ...['-kernel', machine.assets.vmlinuz, '-append', kernelCommandLine(machine)],
    ...disk('root', machine.assets.rootImage, 'snapshot=on'),
    ...disk('deps', machine.assets.depsImage, 'snapshot=on'),
    ...(modulesImage === undefined ? [] : disk('modules', modulesImage, 'snapshot=on')),
    // Results are read once QEMU has ended: nothing is gained by flushing to the host's disk.
    ...disk('work', machine.workImage, 'cache=unsafe'),
  ];
}

function nic(network: VmNetwork | undefined): string {
  if (network === undefined) return 'none';
  const forwards = network.forwards.map(
    ({ hostPort, guestPort }) => `,hostfwd=tcp:127.0.0.1:${hostPort}-:${guestPort}`,
  );
  return `user,model=virtio-net-pci,ipv6=off${forwards.join('')}`;
}

function smp({ cpus, topology }: Machine): string {
  return topology === undefined ? String(cpus) : `${cpus},${topology}`;
}

/**
 * With a thread for each of so many CPUs the emulator lost three guests of three (see lost-guest.ts); one thread that
 * runs them in turn cannot see half-patched code.
 */
const MANY_CPUS = 8;

function acceleration(machine: Machine): string {
  if (machine.accel === 'kvm') return 'kvm';
  const oneThread = machine.clock === 'virtual' || machine.cpus >= MANY_CPUS;
  return oneThread ? 'tcg,thread=single' : 'tcg,thread=multi';
}

function kernelCommandLine(machine: Machine): string {
  const words = ['console=ttyS0', `root=PARTUUID=${rootPartUuid}`, 'rw', 'init=/vminit', 'panic=1', 'quiet'];
  // Warnings and worse still reach the console.
  words.push('loglevel=5');
  // An emulated TSC may look unstable under load; the watchdog would change clocksource in mid-run.
  if (machine.accel === 'tcg') words.push('tsc=reliable');
  return words.join(' ');
}

function disk(name: string, file: string, options: string): string[] {
  return [
    '-drive',
    `if=none,id=${name},format=raw,file=${file.replaceAll(',', ',,')},${options}`,
    '-device',
    `nvme,drive=${name},serial=${name}`,
  ];
}

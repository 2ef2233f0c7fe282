// The kernels that scx-slo is tried on, all with sched_ext, BTF and PSI: Debian's packaged cloud kernels, and one that
// is built here, because Debian's own 6.12 has sched_ext off.

/**
 * What the agent must do on a kernel:
 * - `enforce`: load and run the scheduler;
 * - `affected`: refuse to enforce, attaching under saturation can hang (CVE-2026-43392), unless told otherwise;
 * - `malformed-btf`: fall back to advisory, the kernel's BTF has malformed prototypes of sched_ext kfuncs.
 */
export type Expectation = 'enforce' | 'affected' | 'malformed-btf';

export interface Kernel {
  /** What a person types: `7.3`; the last of two builds of one series has its version, `7.2.13`. */
  readonly name: string;
  /** Debian's ABI name, the middle of its package names: `7.3.4+deb13`; a plain version where it is built here. */
  readonly abi: string;
  /** `source`: built by kernel-6.12.sh, which takes some ten minutes once. */
  readonly from: 'package' | 'source';
  readonly expectation: Expectation;
}

/** Oldest first. From a package: `linux-*-<abi>-cloud-amd64`; +deb13 is in trixie-backports, +deb14 in sid. */
export const kernels: readonly Kernel[] = [
  { name: '6.12', abi: '6.12.117', from: 'source', expectation: 'enforce' },
  { name: '6.16', abi: '6.16.12+deb13', from: 'package', expectation: 'affected' },
  { name: '6.17', abi: '6.17.13+deb13', from: 'package', expectation: 'affected' },
  { name: '6.18', abi: '6.18.15+deb13', from: 'package', expectation: 'affected' },
  { name: '6.19', abi: '6.19.14+deb13', from: 'package', expectation: 'enforce' },
  { name: '7.0', abi: '7.0.13+deb13', from: 'package', expectation: 'enforce' },
  { name: '7.1', abi: '7.1.13+deb13', from: 'package', expectation: 'malformed-btf' },
  { name: '7.2', abi: '7.2.12+deb13', from: 'package', expectation: 'malformed-btf' },
  { name: '7.2.13', abi: '7.2.13+deb14', from: 'package', expectation: 'enforce' },
  { name: '7.3', abi: '7.3.4+deb13', from: 'package', expectation: 'enforce' },
];

export const defaultKernelName = '7.3';

/**
 * The kernels that `selection` names, separated by spaces or commas (`6.16 7.2.13`). A full version (`7.2.12`,
 * `7.2.12+deb13`) names its kernel too, and `all` every packaged one: what takes minutes to build runs only where it
 * is named. The order is that of the list and each kernel comes once. An unknown name is an error that lists the
 * known ones.
 */
export function selectKernels(
  selection: string,
):
  | { readonly ok: true; readonly kernels: readonly Kernel[] }
  | { readonly ok: false; readonly error: string } {
  const wanted = selection.split(/[\s,]+/).filter((word) => word !== '');
  if (wanted.length === 0) return { ok: false, error: 'no kernel was named' };

  const unknown = wanted.filter(
    (word) => word !== 'all' && !kernels.some((kernel) => isCalled(kernel, word)),
  );
  if (unknown.length > 0) {
    const known = kernels.map((kernel) => kernel.name).join(' ');
    return { ok: false, error: `unknown kernel ${unknown.join(', ')}; known are: ${known} all` };
  }
  const isWanted = (kernel: Kernel): boolean =>
    wanted.some((word) => isCalled(kernel, word) || (word === 'all' && kernel.from === 'package'));
  return { ok: true, kernels: kernels.filter(isWanted) };
}

function isCalled(kernel: Kernel, word: string): boolean {
  return word === kernel.name || word === kernel.abi || word === kernel.abi.split('+')[0];
}

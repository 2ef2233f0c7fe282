/** The profile file of containers/common -> the OCI runtime's form, for one set of capabilities. Pure. */
import { arch } from 'node:os';

interface Condition {
  caps?: string[];
  arches?: string[];
  minKernel?: string;
}

interface Rule {
  names: string[];
  action: string;
  errnoRet?: number;
  args: { index: number; value: number; valueTwo: number; op: string }[] | null;
  includes: Condition;
  excludes: Condition;
}

export interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet?: number;
  syscalls: Rule[];
}

const MACHINE = arch() === 'arm64' ? 'arm64' : 'amd64';
const OCI_MACHINE = arch() === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64';

const any = (wanted: string[] | undefined, have: readonly string[]): boolean =>
  (wanted ?? []).some((item) => have.includes(item));

/** A rule holds where one of its includes holds (if it has some) and none of its excludes. */
const holds = ({ includes, excludes }: Rule, capabilities: readonly string[]): boolean =>
  (includes.caps === undefined || any(includes.caps, capabilities)) &&
  (includes.arches === undefined || any(includes.arches, [MACHINE])) &&
  !any(excludes.caps, capabilities) &&
  !any(excludes.arches, [MACHINE]);

/** @param capabilities `CAP_BPF` and so on */
export const ociSeccomp = (profile: SeccompProfile, capabilities: readonly string[]): object => ({
  defaultAction: profile.defaultAction,
  ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
  architectures: [OCI_MACHINE],
  syscalls: profile.syscalls
    .filter((rule) => holds(rule, capabilities))
    .map(({ names, action, errnoRet, args }) => ({
      names,
      action,
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...(args === null || args.length === 0 ? {} : { args }),
    })),
});

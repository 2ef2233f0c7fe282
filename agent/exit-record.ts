/** One end of our scheduler, as it is kept on disk and served on /v1/exits. Pure. */
import { VERSION } from '../slo/version.ts';
import { EXIT_CLASSES, type ExitClass, exitClass } from './kernel/exit-kind.ts';
import { SLO_EXIT_BYTES, SLO_EXIT_DUMP_LEN } from './kernel/layout.gen.ts';
import type { ExitInfo } from './kernel/port.ts';

export interface ExitRecord {
  /** ISO 8601, UTC. */
  at: string;
  class: ExitClass;
  /** enum scx_exit_kind. */
  kind: number;
  /** As the kernel gave it, in hexadecimal. */
  exitCode: string;
  reason: string;
  message: string;
  /** The kernel's debug dump; empty where it wrote none (hotplug, SysRq). */
  dump: string;
  /** uname -r. */
  kernel: string;
  /** Of scx-slo. */
  version: string;
  /** How long the scheduler had run; 0: it ended while it was being attached. */
  ranSeconds: number;
}

export const exitRecord = (
  exit: ExitInfo,
  about: { atMs: number; kernel: string; ranMs: number },
): ExitRecord => ({
  at: new Date(about.atMs).toISOString(),
  class: exitClass(exit),
  kind: exit.kind,
  exitCode: `0x${BigInt.asUintN(64, exit.exitCode).toString(16)}`,
  reason: exit.reason,
  message: exit.message,
  dump: exit.dump,
  kernel: about.kernel,
  version: VERSION,
  ranSeconds: Math.round(about.ranMs / 100) / 10,
});

/** In JSON a control character takes six bytes. */
export const RECORD_MAX_BYTES = 6 * (SLO_EXIT_DUMP_LEN + SLO_EXIT_BYTES.reason + SLO_EXIT_BYTES.msg) + 4096;

const isClass = (value: unknown): value is ExitClass => EXIT_CLASSES.some((known) => known === value);

/** From JSON; undefined: not a record, or one of another version's making that lacks something. */
export const exitRecordOf = (json: unknown): ExitRecord | undefined => {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const value: Partial<Record<keyof ExitRecord, unknown>> = json;
  const { at, kind, exitCode, reason, message, dump, kernel, version, ranSeconds } = value;
  const texts = { at, exitCode, reason, message, dump, kernel, version };
  const numbers = { kind, ranSeconds };
  if (!isClass(value.class) || !Object.values(texts).every((text) => typeof text === 'string'))
    return undefined;
  if (!Object.values(numbers).every(Number.isFinite) || Number.isNaN(Date.parse(String(at))))
    return undefined;
  return { class: value.class, ...texts, ...numbers } as ExitRecord;
};

export const parseExitRecord = (text: string): ExitRecord | undefined => {
  try {
    return exitRecordOf(JSON.parse(text));
  } catch {
    return undefined;
  }
};

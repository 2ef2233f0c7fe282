/** Bytes of a ring buffer record -> event. Pure; undefined: not a record of this ABI. */
import {
  SLO_CGROUP_CREATED,
  SLO_CGROUP_EVENT,
  SLO_CGROUP_REMOVED,
  SLO_MISS_EVENT,
  SLO_MISS_EVENT_BYTES,
  SLO_PATH_MAX,
} from './layout.gen.ts';
import { type CgroupEvent, MISS_REASONS, type MissEvent } from './port.ts';

const utf8 = new TextDecoder();
const M = SLO_MISS_EVENT;
const C = SLO_CGROUP_EVENT;

/** A C string in a field of fixed size; bytes that are not UTF-8 become U+FFFD. */
export const fixedText = (view: DataView, offset: number, length: number): string => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
  const end = bytes.indexOf(0);
  return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
};

const u64 = (view: DataView, offset: number): number =>
  view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;

export const decodeMiss = (view: DataView): MissEvent | undefined => {
  if (view.byteLength < M.size) return undefined;
  const reason = MISS_REASONS[view.getUint32(M.reason, true)];
  if (!reason) return undefined;
  return {
    atNs: u64(view, M.atNs),
    cgroupId: view.getBigUint64(M.cgroupId, true),
    slot: view.getUint32(M.slot, true),
    waitNs: u64(view, M.waitNs),
    budgetNs: u64(view, M.budgetNs),
    ranNs: u64(view, M.ranNs),
    pid: view.getUint32(M.pid, true),
    cpu: view.getUint32(M.cpu, true),
    reason,
    comm: fixedText(view, M.comm, SLO_MISS_EVENT_BYTES.comm),
  };
};

export const decodeCgroup = (view: DataView): CgroupEvent | undefined => {
  if (view.byteLength < C.path) return undefined;
  const change = view.getUint32(C.change, true);
  const length = view.getUint32(C.pathLen, true);
  if (change !== SLO_CGROUP_CREATED && change !== SLO_CGROUP_REMOVED) return undefined;
  if (length >= SLO_PATH_MAX || C.path + length > view.byteLength) return undefined;
  const path = utf8.decode(new Uint8Array(view.buffer, view.byteOffset + C.path, length));
  return {
    change: change === SLO_CGROUP_CREATED ? 'created' : 'removed',
    id: view.getBigUint64(C.id, true),
    path,
    truncated: length === SLO_PATH_MAX - 1,
  };
};

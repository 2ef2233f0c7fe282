/** What is really in the kernel: the map `slot_of` of a running agent, read by bpftool and not by the agent. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface MapInfo {
  id: number;
  name: string;
}

const bpftool = (...args: string[]): unknown =>
  JSON.parse(execFileSync('bpftool', ['-j', ...args], { encoding: 'utf8', maxBuffer: 64 << 20 }));

/** Ids of the BPF maps that the process has open. */
function mapIdsOf(pid: number): Set<number> {
  const ids = new Set<number>();
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    const id = /^map_id:\s*(\d+)$/m.exec(readIfThere(`/proc/${pid}/fdinfo/${fd}`))?.[1];
    if (id !== undefined) ids.add(Number(id));
  }
  return ids;
}

/** A descriptor may be closed between the listing and the reading. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Cgroup id -> slot, as the kernel's programs find it. */
export function kernelSlots(pid: number): Map<bigint, number> {
  const own = mapIdsOf(pid);
  const map = (bpftool('map', 'show') as MapInfo[]).find(({ id, name }) => name === 'slot_of' && own.has(id));
  if (map === undefined) throw new Error(`process ${pid} has no map slot_of open`);
  const entries = bpftool('map', 'dump', 'id', String(map.id)) as { key: string[]; value: string[] }[];
  return new Map(entries.map(({ key, value }) => [littleEndian(key), Number(littleEndian(value))]));
}

/** Bytes as `0x1f`, the lowest first. */
const littleEndian = (bytes: readonly string[]): bigint =>
  BigInt(
    `0x${bytes
      .map((byte) => byte.slice(2).padStart(2, '0'))
      .reverse()
      .join('')}`,
  );

/** What another process has put into the kernel for a cgroup: its maps, opened by their ids, read by system calls. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { SLO_POLICY } from '../../../agent/kernel/layout.gen.ts';

const LIBBPF = new URL('../../../build/lib/libbpf.so.1', import.meta.url).pathname;

const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // closed meanwhile
  }
};

const mapIdsOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/fdinfo`).flatMap((fd) => {
    const id = /^map_id:\s*(\d+)$/m.exec(textOf(`/proc/${pid}/fdinfo/${fd}`))?.[1];
    return id === undefined ? [] : [Number(id)];
  });

export class KernelPolicies {
  readonly #lookup: (fd: number, key: ArrayBufferView, value: ArrayBufferView) => number;
  readonly #slots: number;
  readonly #policies: number;
  readonly #cgroupId = new BigUint64Array(1);
  readonly #slot = new Uint32Array(1);
  readonly #policy = new BigUint64Array(SLO_POLICY.size / 8);

  /** Waits until the agent has a session open. */
  static async of(pid: number): Promise<KernelPolicies> {
    for (let triesLeft = 50; ; triesLeft -= 1) {
      try {
        return new KernelPolicies(pid);
      } catch (error) {
        if (triesLeft === 0) throw error;
        await sleep(200);
      }
    }
  }

  private constructor(pid: number) {
    const library = koffi.load(LIBBPF);
    this.#lookup = library.func('int bpf_map_lookup_elem(int, void *, void *)');
    const open: (id: number) => number = library.func('int bpf_map_get_fd_by_id(uint32_t)');
    const own = new Set(mapIdsOf(pid));
    const shown: { id: number; name: string }[] = JSON.parse(
      execFileSync('bpftool', ['-j', 'map', 'show'], { encoding: 'utf8', maxBuffer: 64 << 20 }),
    );
    const fdOf = (name: string): number => {
      const map = shown.find((one) => one.name === name && own.has(one.id));
      if (map === undefined) throw new Error(`process ${pid} has no map ${name} open`);
      return open(map.id);
    };
    this.#slots = fdOf('slot_of');
    this.#policies = fdOf('policies');
  }

  /** undefined: the cgroup has no slot. */
  budgetMs(cgroupId: bigint): number | undefined {
    this.#cgroupId[0] = cgroupId;
    if (this.#lookup(this.#slots, this.#cgroupId, this.#slot) < 0) return undefined;
    if (this.#lookup(this.#policies, this.#slot, this.#policy) < 0) return undefined;
    return Number(this.#policy[SLO_POLICY.budgetNs / 8] ?? 0n) / 1e6;
  }
}

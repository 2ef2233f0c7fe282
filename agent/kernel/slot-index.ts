/** The kernel's hash map `slot_of` (cgroup id -> slot), by system calls of about 2 us each. */
import { constants } from 'node:os';
import { errnoName, type Libbpf } from './libbpf.ts';
import type { SlotIndex } from './slot-map.ts';

export class KernelSlotIndex implements SlotIndex {
  readonly #libbpf: Libbpf;
  readonly #fd: number;
  readonly #capacity: number;
  readonly #key = new BigUint64Array(1);
  readonly #value = new Uint32Array(1);

  constructor(libbpf: Libbpf, fd: number, capacity: number) {
    this.#libbpf = libbpf;
    this.#fd = fd;
    this.#capacity = capacity;
  }

  set(cgroupId: bigint, slot: number): string | undefined {
    this.#key[0] = cgroupId;
    this.#value[0] = slot;
    const result = this.#libbpf.updateElement(this.#fd, this.#key, this.#value);
    return result < 0 ? errnoName(result) : undefined;
  }

  delete(cgroupId: bigint): string | undefined {
    this.#key[0] = cgroupId;
    const result = this.#libbpf.deleteElement(this.#fd, this.#key);
    return result < 0 && result !== -constants.errno.ENOENT ? errnoName(result) : undefined;
  }

  entries(): Map<bigint, number> {
    const keys = new BigUint64Array(this.#capacity);
    const values = new Uint32Array(this.#capacity);
    const count = this.#libbpf.readHash(this.#fd, keys, values);
    const entries = new Map<bigint, number>();
    for (let i = 0; i < count; i++) entries.set(keys[i] ?? 0n, values[i] ?? 0);
    return entries;
  }
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCgroup, decodeMiss } from './events.ts';
import { SLO_CGROUP_EVENT, SLO_MISS_EVENT, SLO_PATH_MAX } from './layout.gen.ts';
import { MISS_REASONS } from './port.ts';

const M = SLO_MISS_EVENT;
const C = SLO_CGROUP_EVENT;
const counter = fc.maxSafeNat();
const word = fc.nat(0xffffffff);

describe('decodeMiss', () => {
  const miss = fc.record({
    atNs: counter,
    cgroupId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    slot: word,
    waitNs: counter,
    budgetNs: counter,
    ranNs: counter,
    pid: word,
    cpu: word,
    reason: fc.constantFrom(...MISS_REASONS),
    comm: fc.stringMatching(/^[a-z/:0-9-]{0,15}$/),
  });

  it('reads what the kernel wrote', () => {
    fc.assert(
      fc.property(miss, (event) => {
        const view = new DataView(new ArrayBuffer(M.size));
        view.setBigUint64(M.cgroupId, event.cgroupId, true);
        for (const key of ['atNs', 'waitNs', 'budgetNs', 'ranNs'] as const) {
          view.setBigUint64(M[key], BigInt(event[key]), true);
        }
        for (const key of ['slot', 'pid', 'cpu'] as const) view.setUint32(M[key], event[key], true);
        view.setUint32(M.reason, MISS_REASONS.indexOf(event.reason), true);
        new Uint8Array(view.buffer, M.comm).set(new TextEncoder().encode(event.comm));
        expect(decodeMiss(view)).toEqual(event);
      }),
    );
  });

  it('refuses short records and reasons that it does not know', () => {
    const view = new DataView(new ArrayBuffer(M.size));
    expect(decodeMiss(new DataView(view.buffer, 0, M.size - 1))).toBeUndefined();
    view.setUint32(M.reason, MISS_REASONS.length, true);
    expect(decodeMiss(view)).toBeUndefined();
  });
});

const cgroupRecord = (change: number, path: Uint8Array, pathLength = path.length): DataView => {
  const view = new DataView(new ArrayBuffer(C.path + path.length + 1));
  view.setBigUint64(C.id, 77n, true);
  view.setUint32(C.change, change, true);
  view.setUint32(C.pathLen, pathLength, true);
  new Uint8Array(view.buffer, C.path).set(path);
  return view;
};

describe('decodeCgroup', () => {
  it('reads path and change', () => {
    const path = new TextEncoder().encode('/kubepods/pod1');
    expect(decodeCgroup(cgroupRecord(1, path))).toEqual({
      change: 'created',
      id: 77n,
      path: '/kubepods/pod1',
      truncated: false,
    });
    expect(decodeCgroup(cgroupRecord(2, path))?.change).toBe('removed');
  });

  it('tells when the kernel had to cut the path', () => {
    const path = new Uint8Array(SLO_PATH_MAX - 1).fill(0x61);
    expect(decodeCgroup(cgroupRecord(1, path))?.truncated).toBe(true);
  });

  it('refuses lengths beyond the record, and unknown changes', () => {
    const path = new TextEncoder().encode('/a');
    expect(decodeCgroup(cgroupRecord(1, path, 4))).toBeUndefined();
    expect(decodeCgroup(cgroupRecord(1, path, 0xffffffff))).toBeUndefined();
    expect(decodeCgroup(cgroupRecord(3, path))).toBeUndefined();
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        decodeCgroup(view);
        decodeMiss(view);
      }),
    );
  });
});

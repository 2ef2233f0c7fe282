import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeCgroup, nativeBpfProblem, type TestCgroup } from '../../test/fixtures/native-bpf.ts';
import { type Failure, failureText, isFailure } from '../failure.ts';
import { openObserver } from './observer.ts';
import { type KernelSession, type MissEvent, NO_SLOT, type SlotPolicy } from './port.ts';
import { hostSysfs } from './sysfs.ts';
import { readTopology } from './topology.ts';

const problem = nativeBpfProblem();
const BUSY = 'while :; do :; done';
const SLOT = 5;

describe.skipIf(problem !== '')(`observer on this kernel${problem && ` (skipped: ${problem})`}`, () => {
  let session: KernelSession;
  let cgroup: TestCgroup;
  let misses: MissEvent[];
  let problems: Failure[];

  const policy = (budgetNs: number): SlotPolicy => ({
    cgroupId: cgroup.id,
    budgetNs,
    importance: 50,
    reservedCpus: 2,
    creditCapNs: 1e9,
    creditSlot: SLOT,
    sloSlot: SLOT,
    parentSlot: NO_SLOT,
    idle: false,
    quotaNs: 0,
    periodUs: 0,
    limited: false,
    weight: 100,
    deadline: true,
  });

  beforeEach(() => {
    misses = [];
    problems = [];
    const opened = openObserver({
      topology: readTopology(hostSysfs),
      onMiss: (event) => {
        misses.push(event);
        if (misses.length === 1) throw new Error('a handler with a bug');
      },
      onProblem: (found) => problems.push(found),
    });
    if (isFailure(opened)) throw new Error(failureText(opened));
    session = opened;
    session.beat();
    cgroup = makeCgroup();
  });

  afterEach(async () => {
    session.close();
    await cgroup.remove();
  });

  it('counts waits, bursts and CPU time of the processes in a cgroup', async () => {
    expect(session.slots.assign(SLOT, policy(0))).toBeUndefined();
    session.slots.publish();
    expect(session.slots.index()).toEqual(new Map([[cgroup.id, SLOT]]));
    cgroup.run(0, 'while :; do sleep 0.01; done');
    await vi.waitFor(() => expect(session.slots.stats(SLOT).bursts).toBeGreaterThan(20), 10_000);
    const stats = session.slots.stats(SLOT);
    const histogram = stats.hist.reduce((total, count) => total + count, 0);
    expect(histogram).toBeGreaterThanOrEqual(stats.bursts);
    expect(stats.waitNs).toBeGreaterThan(0);
    expect(stats.ranNs).toBeGreaterThan(0);
    expect(Object.values(stats.misses).every((count) => count === 0)).toBe(true);
    expect(session.running()).toBe(true);
  });

  it('reports a miss within a second, and survives a handler that throws', async () => {
    session.slots.assign(SLOT, policy(100_000));
    session.slots.publish();
    const startNs = process.hrtime.bigint();
    for (let i = 0; i < 3; i++) cgroup.run(0, BUSY);
    await vi.waitFor(() => expect(misses.length).toBeGreaterThan(1), { timeout: 5_000, interval: 20 });
    const first = misses[0];
    expect(first).toMatchObject({ cgroupId: cgroup.id, slot: SLOT, budgetNs: 100_000, cpu: 0 });
    expect(first?.waitNs).toBeGreaterThan(100_000);
    expect(Number(first?.atNs) - Number(startNs)).toBeLessThan(1e9);
    expect(problems).toMatchObject([{ code: 'SLO_E_EVENT', why: 'Error: a handler with a bug' }]);
    const { misses: counted } = session.slots.stats(SLOT);
    expect(counted.sched + counted.over).toBeGreaterThanOrEqual(misses.length);
  });

  it('stops counting a cgroup whose slot was released', async () => {
    session.slots.assign(SLOT, policy(0));
    session.slots.publish();
    cgroup.run(0, 'while :; do sleep 0.01; done');
    await vi.waitFor(() => expect(session.slots.stats(SLOT).bursts).toBeGreaterThan(0), 10_000);
    expect(session.slots.release(SLOT, cgroup.id)).toBeUndefined();
    session.slots.publish();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { bursts } = session.slots.stats(SLOT);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(session.slots.stats(SLOT).bursts).toBe(bursts);
    expect(session.slots.index().size).toBe(0);
    expect(session.slots.release(SLOT, cgroup.id)).toBeUndefined();
  });

  it('holds as many slots as it promises', () => {
    const { slots } = session;
    for (let slot = 2; slot < slots.capacity; slot++) {
      const failed = slots.assign(slot, {
        ...policy(0),
        cgroupId: BigInt(1_000_000 + slot),
        creditSlot: slot,
        sloSlot: slot,
      });
      if (failed) throw new Error(failureText(failed));
    }
    expect(slots.index().size).toBe(slots.capacity - 2);
    for (let slot = 2; slot < slots.capacity; slot++) slots.release(slot, BigInt(1_000_000 + slot));
    expect(slots.index().size).toBe(0);
  });

  it('is harmless once it is closed', () => {
    session.slots.assign(SLOT, policy(0));
    session.close();
    session.close();
    session.beat();
    session.slots.publish();
    expect(session.running()).toBe(false);
    expect(session.slots.stats(SLOT).bursts).toBe(0);
    expect(session.slots.assign(SLOT, policy(0))?.code).toBe('SLO_E_CLOSED');
    expect(session.health().eventsDropped).toBe(0);
  });
});

const BPFTOOL = '/usr/sbin/bpftool';
const withoutTool = problem || (existsSync(BPFTOOL) ? '' : 'needs bpftool');

type Kind = 'prog' | 'map' | 'link';

/** Ids of the BPF objects that a process holds open. */
const heldBy = (pid: number, kind: Kind): number[] => {
  const folder = `/proc/${pid}/fdinfo`;
  const infos = readdirSync(folder).map((fd) => readFileSync(`${folder}/${fd}`, 'utf8'));
  return infos.flatMap((info) => {
    // a link's info names its program, too
    if (kind === 'prog' && info.includes('link_id:')) return [];
    const id = new RegExp(`^${kind}_id:\\s*(\\d+)$`, 'm').exec(info)?.[1];
    return id ? [Number(id)] : [];
  });
};

const inKernel = (kind: Kind): number[] =>
  (JSON.parse(execFileSync(BPFTOOL, [kind, 'show', '-j']).toString()) as { id: number }[]).map(
    ({ id }) => id,
  );

it.skipIf(withoutTool !== '')(
  `kill -9 leaves nothing in the kernel${withoutTool && ` (${withoutTool})`}`,
  async () => {
    const from = (file: string) => JSON.stringify(fileURLToPath(new URL(file, import.meta.url)));
    const script = `
    import { openObserver } from ${from('observer.ts')};
    import { hostSysfs } from ${from('sysfs.ts')};
    import { readTopology } from ${from('topology.ts')};
    const options = { topology: readTopology(hostSysfs), onMiss() {}, onProblem() {} };
    console.log(openObserver(options).kind);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface(child.stdout), 'line');
    expect(line).toBe('observer');
    const pid = child.pid ?? 0;
    const held = { prog: heldBy(pid, 'prog'), map: heldBy(pid, 'map'), link: heldBy(pid, 'link') };
    const kinds = ['link', 'prog', 'map'] as const;
    for (const kind of kinds) {
      expect(held[kind].length, kind).toBeGreaterThan(2);
      expect(inKernel(kind)).toEqual(expect.arrayContaining(held[kind]));
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    const left = () => kinds.flatMap((kind) => inKernel(kind).filter((id) => held[kind].includes(id)));
    await vi.waitFor(() => expect(left()).toEqual([]), 5_000);
  },
);

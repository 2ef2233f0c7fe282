import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  churnCgroups,
  makeCgroup,
  nativeBpfProblem,
  type TestCgroup,
} from '../../test/fixtures/native-bpf.ts';
import { failureText, isFailure } from '../failure.ts';
import { type CgroupEventSession, openCgroupEvents } from './cgroup-events.ts';
import type { CgroupEvent } from './port.ts';

const problem = nativeBpfProblem();

/** Holds this thread, as a bug in the agent would, while the kernel goes on. */
const blockFor = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

describe.skipIf(problem !== '')(`cgroup events of this kernel${problem && ` (skipped: ${problem})`}`, () => {
  let events: CgroupEvent[];
  let session: CgroupEventSession;
  let parent: TestCgroup | undefined;

  beforeEach(() => {
    events = [];
    const opened = openCgroupEvents({
      onCgroup: (event) => events.push(event),
      onProblem: (found) => {
        throw new Error(failureText(found));
      },
    });
    if (isFailure(opened)) throw new Error(failureText(opened));
    session = opened;
  });

  afterEach(async () => {
    session.close();
    await parent?.remove();
    parent = undefined;
  });

  it('tells of a cgroup that appears and goes, with the inode as its id', async () => {
    const cgroup = makeCgroup();
    await cgroup.remove();
    await vi.waitFor(() => expect(events.filter((event) => event.id === cgroup.id)).toHaveLength(2));
    expect(events.filter((event) => event.id === cgroup.id)).toEqual([
      { change: 'created', id: cgroup.id, path: cgroup.name, truncated: false },
      { change: 'removed', id: cgroup.id, path: cgroup.name, truncated: false },
    ]);
    expect(session.dropped()).toBe(0);
  });

  it('counts what it loses while the event loop is blocked: nothing is lost unseen', async () => {
    parent = makeCgroup();
    const below = `${parent.name}/`;
    const churn = churnCgroups(parent.path, 5_000);
    blockFor(1_500);
    await churn;
    const seen = () => events.filter((event) => event.path.startsWith(below)).length;
    await vi.waitFor(() => expect(seen() + session.dropped()).toBeGreaterThanOrEqual(10_000), 5_000);
    expect(session.dropped()).toBeGreaterThan(0);
    // cgroups of other tests and of the system may be among the dropped ones
    expect(seen() + session.dropped()).toBeLessThan(10_100);
  }, 30_000);

  it('holds the event loop for a few milliseconds at most, also with a backlog', async () => {
    parent = makeCgroup();
    const churn = churnCgroups(parent.path, 4_000);
    blockFor(500);
    const costsMs: number[] = [];
    while (events.length + session.dropped() < 8_000) {
      const start = process.cpuUsage();
      await new Promise((resolve) => setImmediate(resolve));
      const { user, system } = process.cpuUsage(start);
      costsMs.push((user + system) / 1000);
    }
    await churn;
    costsMs.sort((a, b) => a - b);
    expect(events.length).toBeGreaterThan(1_000);
    expect(costsMs[Math.floor(costsMs.length * 0.99)]).toBeLessThan(20);
  }, 30_000);

  it('delivers without the delay of a timer', async () => {
    const delaysMs: number[] = [];
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      const cgroup = makeCgroup();
      while (!events.some((event) => event.id === cgroup.id)) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      delaysMs.push(performance.now() - start);
      await cgroup.remove();
    }
    // the best one: the machine may be busy with other tests
    expect(Math.min(...delaysMs)).toBeLessThan(4);
  });

  it('keeps its count after close, which may be called twice and from a handler', async () => {
    session.close();
    session.close();
    expect(session.dropped()).toBe(0);
    const taken: CgroupEvent[] = [];
    const other = openCgroupEvents({
      onCgroup: (event) => {
        taken.push(event);
        if (!isFailure(other)) other.close();
      },
      onProblem: () => undefined,
    });
    if (isFailure(other)) throw new Error(failureText(other));
    parent = makeCgroup();
    await churnCgroups(parent.path, 50);
    await vi.waitFor(() => expect(taken.length).toBeGreaterThan(0));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken.length).toBe(1);
  });
});

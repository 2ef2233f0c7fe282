// The scheduler leaves: CPUs go and come, a person presses SysRq-S, a realtime task starves the ones below it.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AgentProcess, eventually, killAgents, schedExt } from './agent-process.ts';
import { fact } from './facts.ts';
import { addServiceAndBatch, GuestNode, loadServiceAndBatch } from './guest-pods.ts';

/** Loading the scheduler again on a saturated, emulated node takes most of a minute. */
vi.setConfig({ testTimeout: 300_000 });

const node = new GuestNode();
let stateDir = '';
beforeEach(() => {
  stateDir = mkdtempSync('/tmp/state-');
});
afterEach(async () => {
  await killAgents();
  await node.clear();
  rmSync(stateDir, { recursive: true, force: true });
});
afterAll(() => node.close());

const start = (name: string, ...more: string[]): Promise<AgentProcess> =>
  AgentProcess.enforce(name, node.podsDir, ['--state-dir', stateDir, ...more]);

const addPods = () => addServiceAndBatch(node);

const load = (pods: ReturnType<typeof addPods>): void =>
  loadServiceAndBatch(node, pods, { services: 1, loops: 3 });

interface DoctorAnswer {
  checks: { id: string; status: string; text: string }[];
}

/** As an operator calls it, on a node that is busy. */
const doctor = (...argv: string[]): { code: number | null; text: string } => {
  const command = ['build/dist/cli.mjs', 'doctor', '--state-dir', stateDir, ...argv];
  const { status, stdout } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  return { code: status, text: stdout };
};

const check = (text: string, id: string) =>
  (JSON.parse(text) as DoctorAnswer).checks.find((each) => each.id === id);

const setOnline = (cpu: number, online: boolean): void =>
  writeFileSync(`/sys/devices/system/cpu/cpu${cpu}/online`, online ? '1' : '0');

/** CPU that a process was on last: field 39 of /proc/PID/stat, counted after the name in parentheses. */
const lastCpu = (pid: number | undefined): number =>
  Number(
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[36],
  );

/** Waits until the scheduler is in charge again after `hotplugs` hotplugs; no counter may go back meanwhile. */
const reloaded = async (agent: AgentProcess, hotplugs: number): Promise<void> => {
  let bursts = await agent.metric('scx_slo_bursts_total');
  await eventually(
    `reloaded after ${hotplugs} hotplugs`,
    async () => {
      const now = await agent.metric('scx_slo_bursts_total');
      expect(now).toBeGreaterThanOrEqual(bursts);
      bursts = now;
      const { mode, counts } = await agent.exits();
      return mode === 'enforce' && counts.hotplug === hotplugs ? true : undefined;
    },
    120_000,
  );
  expect(schedExt('state')).toBe('enabled');
  expect(schedExt('root/ops')).toBe('scx_slo');
};

const metricLine = async (agent: AgentProcess, start: string): Promise<string | undefined> =>
  (await agent.metrics()).split('\n').find((line) => line.startsWith(start));

describe('CPUs go and come', () => {
  test('the scheduler is reloaded with the CPUs that are there, and counters go on', async () => {
    const pods = addPods();
    const { api, batch } = pods;
    const agent = await start('hotplug');
    await agent.pod('api');
    load(pods);
    await eventually('bursts', async () =>
      (await agent.metric('scx_slo_bursts_total')) > 0 ? true : undefined,
    );
    try {
      const offAt = performance.now();
      setOnline(1, false);
      await reloaded(agent, 1);
      fact('cpuOfflineToReloadedMs', Math.round(performance.now() - offAt));
      expect(batch.tasks.map((task) => lastCpu(task.pid))).toEqual([0, 0, 0]);

      const onAt = performance.now();
      setOnline(1, true);
      await reloaded(agent, 2);
      fact('cpuOnlineToReloadedMs', Math.round(performance.now() - onAt));
    } finally {
      setOnline(1, true);
    }
    await eventually('the CPU that came back is used', () =>
      batch.tasks.some((task) => lastCpu(task.pid) === 1) ? true : undefined,
    );
    await agent.pod('api');
    expect(node.alive(api)).toBe(1);
    expect(node.alive(batch)).toBe(3);
    const { exits, events, restart } = await agent.exits();
    expect(restart).toEqual({ action: 'none', inSeconds: 0, failuresLastHour: 0 });
    expect(exits[0]).toMatchObject({ class: 'hotplug', kind: 66, dump: '' });
    expect(events.map((event) => event.reason)).toEqual([
      'SchedExtEnabled',
      'SchedExtEjected',
      'SchedExtRestarted',
      'SchedExtEjected',
      'SchedExtRestarted',
    ]);
    expect(await metricLine(agent, 'scx_slo_scheduler_exits_total{reason="hotplug"}')).toMatch(/ 2$/);
    expect(await agent.stop()).toBe(0);
  });
});

describe('SysRq-S', () => {
  test('is a wish: off until the agent starts again, and observed meanwhile', async () => {
    const pods = addPods();
    const agent = await start('sysrq');
    await agent.pod('api');
    load(pods);
    writeFileSync('/proc/sysrq-trigger', 'S');
    await eventually('noticed', async () => ((await agent.exits()).counts.sysrq === 1 ? true : undefined));
    expect(await agent.exits()).toMatchObject({
      mode: 'advisory',
      modeReason: { code: 'TurnedOff' },
      restart: { action: 'stayOff', inSeconds: 0 },
      exits: [{ class: 'sysrq', kind: 67 }],
    });
    const before = await agent.metric('scx_slo_bursts_total');
    await sleep(5_000);
    expect(schedExt('state')).toBe('disabled');
    expect(await agent.metric('scx_slo_bursts_total')).toBeGreaterThan(before);
    expect(await metricLine(agent, 'scx_slo_node_mode{mode="advisory"')).toBe(
      'scx_slo_node_mode{mode="advisory",reason="TurnedOff"} 1',
    );
    const asked = doctor('--json');
    expect(asked.code).toBe(1);
    expect(check(asked.text, 'agent')).toMatchObject({
      status: 'fail',
      text: expect.stringContaining('TurnedOff: the scheduler left: disabled by sysrq-S'),
    });
    expect(check(asked.text, 'last-exit')?.text).toContain('sysrq');
    expect(await agent.stop()).toBe(0);

    await node.clear();
    const next = await start('sysrq-next');
    expect((await next.exits()).mode).toBe('enforce');
    expect((await next.exits()).exits).toMatchObject([{ class: 'sysrq' }]);
    expect(await next.stop()).toBe(0);
  });
});

describe('a stall', () => {
  const DEBUGFS = '/sys/kernel/debug';
  const SERVER = `${DEBUGFS}/sched/ext_server/cpu1/runtime`;

  /** Since 7.0 a deadline server keeps some CPU for sched_ext beside realtime tasks; 0 ns turns it off. */
  const setServer = (runtimeNs: string): void => {
    if (!existsSync(`${DEBUGFS}/sched`)) execFileSync('mount', ['-t', 'debugfs', 'debugfs', DEBUGFS]);
    if (existsSync(SERVER)) writeFileSync(SERVER, runtimeNs);
  };

  /** A realtime task that has CPU 1 for itself, and ends by itself: nothing that could end it would get to run there. */
  const hog = (ms: number): void => {
    const script = `const end = Date.now() + ${ms}; while (Date.now() < end);`;
    spawn('taskset', ['-c', '1', 'chrt', '-f', '10', process.execPath, '-e', script], { stdio: 'ignore' });
  };

  test('ends the scheduler: it backs off, comes back, and the dump is kept', async () => {
    const pods = addPods();
    const agent = await start('stall', '--watchdog-ms', '2000');
    await agent.pod('api');
    load(pods);
    const serverBefore = existsSync(SERVER) ? readFileSync(SERVER, 'utf8').trim() : '50000000';
    setServer('0');
    try {
      node.run(pods.batch, 2, 'exec taskset -c 1 sh -c "while :; do :; done"');
      await sleep(500);
      hog(8_000);
      await eventually(
        'ended',
        async () => ((await agent.exits()).counts.stall === 1 ? true : undefined),
        60_000,
      );
    } finally {
      setServer(serverBefore);
    }
    const away = await agent.exits();
    expect(away).toMatchObject({
      mode: 'advisory',
      modeReason: { code: 'BackOff' },
      restart: { action: 'backOff', failuresLastHour: 1 },
      exits: [{ class: 'stall', kind: 1026 }],
    });
    const dump = away.exits[0]?.dump ?? '';
    expect(dump).toContain('scx_slo: cpus=2');
    expect(dump).toMatch(/scx_slo: slot=\d+ tier=\d/);
    fact('stallDumpBytes', dump.length);
    writeFileSync('/out/stall-dump.txt', dump);
    const [file] = readdirSync(`${stateDir}/exits`);
    expect(JSON.parse(readFileSync(`${stateDir}/exits/${file}`, 'utf8'))).toEqual(away.exits[0]);

    await eventually(
      'it is back',
      async () => ((await agent.exits()).mode === 'enforce' ? true : undefined),
      120_000,
    );
    expect(schedExt('root/ops')).toBe('scx_slo');
    expect(await metricLine(agent, 'scx_slo_scheduler_exits_total{reason="stall"}')).toMatch(/ 1$/);
    await node.clear();
    const well = doctor('--json');
    expect(check(well.text, 'agent')).toMatchObject({
      status: 'ok',
      text: expect.stringContaining('mode enforce'),
    });
    expect(well.code).toBe(0);
    expect(await agent.stop()).toBe(0);

    // without the agent, from what it kept
    const { text } = doctor('--dump');
    expect(text).toMatch(/^WARN {2}last-exit .*: stall: runnable task stall: /m);
    expect(text).toContain(dump.slice(0, 500).trim());
    writeFileSync('/out/doctor.txt', text);
  });
});

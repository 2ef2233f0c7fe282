/** The whole agent but for the kernel: real files, real directories as cgroups, real HTTP on loopback. */
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeKernelSide } from '../test/fakes/kernel-side.ts';
import { startSignal } from '../test/signal-process.ts';
import { Agent, type AgentPorts } from './agent.ts';
import { failure, isFailure } from './failure.ts';
import { type Mode, NO_SLOT } from './kernel/port.ts';
import { bucketOf } from './observe/histogram.ts';
import type { AgentOptions } from './options.ts';
import { ConfigSource } from './pods/config-source.ts';
import { ManifestSource } from './pods/manifest-source.ts';
import type { PodTarget, TargetSnapshot, TargetSource } from './pods/target.ts';

const UID = '11111111-2222-3333-4444-555555555555';
const POD = `/kubepods/burstable/pod${UID}`;
const CONTAINER = 'ab'.repeat(32);

/** A source that says what the test says. */
class TestSource implements TargetSource {
  #onSnapshot: (snapshot: TargetSnapshot) => void = () => {};
  #snapshot: TargetSnapshot = { targets: [], errors: [] };

  async start(onSnapshot: (snapshot: TargetSnapshot) => void): Promise<void> {
    this.#onSnapshot = onSnapshot;
    onSnapshot(this.#snapshot);
  }

  set(...targets: PodTarget[]): void {
    this.#snapshot = { targets, errors: [] };
    this.#onSnapshot(this.#snapshot);
  }

  stop(): void {}
}

const cart = (more: Partial<PodTarget> = {}): PodTarget => ({
  kind: 'pod',
  uid: UID,
  cgroupUid: UID,
  namespace: 'shop',
  name: 'cart',
  slo: { budgetMs: 50, importance: 80, shed: true, source: 'pod', clamped: [] },
  containers: [],
  podIps: ['127.0.0.2'],
  cpuRequestMilli: 500,
  problems: [],
  ...more,
});

let root = '';
let cgroups = '';
let kernel: FakeKernelSide;
let source: TestSource;
let agent: Agent | undefined;
let ports: AgentPorts;
let logged: { level: number; msg: string }[];
let busyTicks = 0;

const makeCgroup = (path: string): bigint => {
  mkdirSync(join(cgroups, path), { recursive: true });
  return statSync(join(cgroups, path), { bigint: true }).ino;
};

const createCgroup = (path: string): bigint => {
  const id = makeCgroup(path);
  kernel.tell({ change: 'created', id, path });
  return id;
};

const start = async (
  mode: Mode,
  config?: string,
  more: Partial<AgentOptions> = {},
  podSource: TargetSource = source,
) => {
  const log = pino({ level: 'debug' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const anyPort = { host: '127.0.0.1', port: 0 };
  const options: AgentOptions = {
    mode,
    config,
    podsDir: undefined,
    kube: undefined,
    featureDir: undefined,
    cgroupRoot: cgroups,
    metricsAddress: anyPort,
    localAddress: anyPort,
    signalAddress: anyPort,
    signalDir: undefined,
    levelsSocket: undefined,
    shedDryRun: false,
    allowAttachHang: false,
    stateDir: join(root, 'state'),
    watchdogMs: 30_000,
    nodeName: 'node-1',
    logLevel: 'debug',
    ...more,
  };
  const sources = [{ name: 'pods-dir', source: podSource }];
  if (config !== undefined)
    sources.push({ name: 'config', source: new ConfigSource({ file: config, pollMs: 50 }) });
  const made = new Agent(options, {
    kernel,
    log,
    sources,
    cgroupMount: cgroups,
    cpus: () => 2,
    procStat: () => {
      busyTicks += 40;
      return `cpu  ${busyTicks} 0 0 0 0 0 0 0 0 0\n`;
    },
  });
  agent = made;
  const started = await made.start();
  if (isFailure(started)) throw new Error(started.why);
  ports = started;
};

/** What the kernel would read for a cgroup now; undefined: it has no slot. */
const policyOf = (id: bigint | undefined) => {
  const slot = kernel.session.indexed.get(id ?? 0n);
  return slot === undefined ? undefined : kernel.session.policy(slot);
};

const get = (port: number | undefined, path: string, more: { from?: string; socketPath?: string } = {}) =>
  new Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }>(
    (resolve, reject) => {
      const { from = '127.0.0.1', socketPath } = more;
      const where =
        socketPath === undefined ? { host: '127.0.0.1', port, localAddress: from } : { socketPath };
      const request = httpRequest({ ...where, path, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers });
        });
      });
      request.on('error', reject);
      request.end();
    },
  );

const until = async (what: string, condition: () => boolean | Promise<boolean>, limitMs = 5_000) => {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

const metric = async (line: RegExp): Promise<string[]> =>
  (await get(ports.metrics, '/metrics')).body.split('\n').filter((text) => line.test(text));

const podsPage = async () => JSON.parse((await get(ports.local, '/v1/pods')).body);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scx-slo-agent-'));
  cgroups = join(root, 'cgroup');
  mkdirSync(cgroups);
  kernel = new FakeKernelSide();
  source = new TestSource();
  logged = [];
});
afterEach(async () => {
  await agent?.stop();
  agent = undefined;
  rmSync(root, { recursive: true, force: true });
});

describe('from annotation to slot', () => {
  it('gives a pod that is there at the start its slot, and shows it', async () => {
    const id = makeCgroup(POD);
    const rootId = statSync(join(cgroups, 'kubepods'), { bigint: true }).ino;
    source.set(cart());
    await start('enforce');
    await until('slot', () => kernel.session.indexed.has(id));
    expect(kernel.session.indexed.get(rootId)).toBe(1);
    const slot = kernel.session.indexed.get(id) ?? -1;
    expect(kernel.session.policy(slot)).toMatchObject({
      cgroupId: id,
      budgetNs: 50e6,
      importance: 80,
      deadline: true,
    });
    expect((await podsPage()).pods).toMatchObject([
      {
        namespace: 'shop',
        pod: 'cart',
        budgetMs: 50,
        cgroup: POD,
        cgroupId: String(id),
        slot,
        mode: 'enforce',
      },
    ]);
    expect(await metric(/^scx_slo_budget_seconds/)).toEqual([
      'scx_slo_budget_seconds{namespace="shop",pod="cart",container=""} 0.05',
    ]);
  });

  it('follows cgroups and targets that come and go, in any order', async () => {
    await start('observe');
    const early = createCgroup('/kubepods/podearly');
    await until('accounting slot', () => kernel.session.indexed.has(early));
    const slot = kernel.session.indexed.get(early) ?? -1;
    expect(kernel.session.policy(slot)).toMatchObject({ budgetNs: 0, deadline: false });
    source.set(cart({ cgroupUid: 'early' }));
    await until('SLO', () => kernel.session.policy(slot)?.budgetNs === 50e6);
    source.set(
      cart({ cgroupUid: 'early' }),
      cart({ uid: 'late', cgroupUid: 'late', name: 'late', podIps: [] }),
    );
    await until('unresolved', async () => (await metric(/^scx_slo_unresolved_pods 1$/)).length === 1);
    const late = createCgroup('/kubepods/podlate');
    await until('late slot', () => kernel.session.indexed.has(late));
    rmdirSync(join(cgroups, '/kubepods/podearly'));
    kernel.tell({ change: 'removed', id: early, path: '/kubepods/podearly' });
    await until('released', () => !kernel.session.indexed.has(early));
    expect((await podsPage()).unresolved).toHaveLength(1);
  });

  it('gives a container with its own budget a slot on the credit of its pod', async () => {
    const podId = makeCgroup(POD);
    const id = makeCgroup(`${POD}/${CONTAINER}`);
    const slo = { budgetMs: 5, importance: 80, shed: true, source: 'container' as const, clamped: [] };
    source.set(cart({ containers: [{ name: 'app', id: CONTAINER, slo }] }));
    await start('enforce');
    await until('slots', () => kernel.session.indexed.has(id));
    const podSlot = kernel.session.indexed.get(podId);
    expect(kernel.session.policy(kernel.session.indexed.get(id) ?? -1)).toMatchObject({
      budgetNs: 5e6,
      creditSlot: podSlot,
    });
  });

  it('follows cpu.weight, cpu.max and cpu.idle of the whole hierarchy, told or not', async () => {
    const ids = ['/kubepods', '/kubepods/burstable', POD, `${POD}/${CONTAINER}`].map(makeCgroup);
    makeCgroup('/system.slice');
    const write = (path: string, file: string, text: string) =>
      writeFileSync(join(cgroups, path, file), text);
    write(POD, 'cpu.weight', '79\n');
    write(POD, 'cpu.max', '150000 100000\n');
    write('/system.slice', 'cpu.weight', '300\n');
    source.set(cart({ slo: undefined, containers: [{ name: 'app', id: CONTAINER }] }));
    await start('enforce');
    const policy = (depth: number) => policyOf(ids[depth]);
    await until('limits', () => policy(2)?.quotaNs === 150e6);
    expect(policy(2)).toMatchObject({ weight: 79, periodUs: 100_000, limited: true, idle: false });
    expect(policy(3)).toMatchObject({
      weight: 100,
      quotaNs: 0,
      limited: true,
      sloSlot: policy(2)?.creditSlot,
    });
    const slots = ids.map((id) => kernel.session.indexed.get(id));
    expect([0, 1, 2, 3].map((depth) => policy(depth)?.parentSlot)).toEqual([NO_SLOT, ...slots.slice(0, 3)]);
    await until('the weight of the system', () => kernel.session.system.weight === 300);
    expect(kernel.session.system.parentSlot).toBe(NO_SLOT);

    // Most kernels tell; the first reads of a new cgroup are over by then.
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    write('/kubepods/burstable', 'cpu.weight', '1\n');
    write('/kubepods/burstable', 'cpu.idle', '1\n');
    kernel.session.tellLimitChange(slots[1] ?? -1);
    await until('idle', () => policy(3)?.idle === true, 1_000);
    write(POD, 'cpu.max', 'max 100000\n');
    await until('no quota', () => policy(2)?.quotaNs === 0 && policy(3)?.limited === false, 2_500);
  });

  it('counts what cpu.max does to a container that else counts for its pod', async () => {
    makeCgroup(POD);
    const id = makeCgroup(`${POD}/${CONTAINER}`);
    writeFileSync(join(cgroups, POD, CONTAINER, 'cpu.weight'), '100\n');
    writeFileSync(join(cgroups, POD, CONTAINER, 'cpu.max'), '50000 100000\n');
    source.set(cart({ containers: [{ name: 'app', id: CONTAINER }] }));
    await start('enforce');
    const slot = () => kernel.session.indexed.get(id) ?? -1;
    await until('quota', () => policyOf(id)?.quotaNs === 50e6);
    kernel.session.addThrottling(slot(), { periods: 20, throttledPeriods: 5, throttledNs: 3e9 });
    const labels = '{namespace="shop",pod="cart",container="app"}';
    await until(
      'periods',
      async () =>
        (await metric(/^scx_slo_cpu_periods_total/)).join() === `scx_slo_cpu_periods_total${labels} 20`,
    );
    expect(await metric(/^scx_slo_cpu_throttled_periods_total/)).toEqual([
      `scx_slo_cpu_throttled_periods_total${labels} 5`,
    ]);
    expect(await metric(/^scx_slo_throttled_seconds_total/)).toEqual([
      `scx_slo_throttled_seconds_total${labels} 3`,
    ]);
    expect(await metric(/^scx_slo_cpu_seconds_total.*container="app"/)).toEqual([]);
  });

  it('reserves what a pod uses, says how much of it fits, and tells once who is short', async () => {
    const id = makeCgroup(POD);
    source.set(cart({ cpuRequestMilli: 0 }));
    await start('enforce');
    await until('slot', () => kernel.session.indexed.has(id));
    const slot = kernel.session.indexed.get(id) ?? -1;
    // four threads that always want to run, on two CPUs
    const timer = setInterval(() => {
      kernel.session.addRun(slot, 40e6);
      kernel.session.addWaits(slot, 20, 1, 40e6);
      kernel.session.addMisses(slot, 'over', 1);
    }, 20);
    const ratio = async () => {
      const [line] = await metric(/^scx_slo_reservation_ratio\{namespace="shop",pod="cart"\}/);
      return Number(line?.split(' ').at(-1));
    };
    try {
      await until('short', async () => (await ratio()) < 0.9);
      expect((await podsPage()).pods[0].reservedCpus).toBeLessThanOrEqual(2 * 0.78);
      await until('told', () => logged.some(({ msg }) => msg.includes('less CPU than it needs')), 8_000);
    } finally {
      clearInterval(timer);
    }
    await until('fits again', async () => (await ratio()) === 1, 8_000);
    await until('told', () => logged.some(({ msg }) => msg.includes('gets the CPU it needs again')), 8_000);
    expect(logged.filter(({ msg }) => msg.includes('CPU it needs') || msg.includes('less CPU'))).toHaveLength(
      2,
    );
  }, 30_000);

  it('reads the tree again when events were lost or cut', async () => {
    await start('observe');
    const id = makeCgroup(POD);
    kernel.cgroupsDropped = 1;
    await until('repaired', () => kernel.session.indexed.has(id));
    const cut = makeCgroup('/kubepods/podcut');
    kernel.tell({ change: 'created', id: cut, path: '/kubepods/podc', truncated: true });
    await until('repaired', () => kernel.session.indexed.has(cut));
    // the root, the QoS slice and the two pods
    expect(kernel.session.indexed.size).toBe(4);
  });

  it('takes manifests of --pods-dir, and their edits', async () => {
    const directory = join(root, 'pods');
    mkdirSync(directory);
    const manifest = (budgetMs: string) =>
      writeFileSync(
        join(directory, 'cart.yaml'),
        [
          'apiVersion: v1',
          'kind: Pod',
          'metadata:',
          '  name: cart',
          '  namespace: shop',
          `  uid: ${UID}`,
          `  annotations: { scx-slo.io/budget-ms: "${budgetMs}", scx-slo.io/importance: "70" }`,
          'spec: { containers: [{ name: app, image: cart }] }',
        ].join('\n'),
      );
    manifest('25');
    writeFileSync(join(directory, 'broken.yaml'), 'kind: [');
    const id = makeCgroup(POD);
    await start('enforce', undefined, {}, new ManifestSource({ directory, rescanMs: 100 }));
    await until('slot', () => kernel.session.indexed.has(id));
    const slot = kernel.session.indexed.get(id) ?? -1;
    await until('policy', () => kernel.session.policy(slot)?.budgetNs === 25e6);
    manifest('12.5');
    await until('edit', () => kernel.session.policy(slot)?.budgetNs === 12.5e6, 2_000);
    expect((await podsPage()).sourceErrors).toEqual([expect.stringContaining('broken.yaml')]);
    expect(await metric(/^scx_slo_source_errors/)).toEqual(['scx_slo_source_errors{source="pods-dir"} 1']);
  });

  it('serves path rules of --config, with a socket for each', async () => {
    const id = makeCgroup('/kubepods/critical/payment-api');
    const config = join(root, 'config');
    writeFileSync(config, '/kubepods/critical/payment-api 50 90\n/nowhere 20 10\nnonsense\n');
    await start('advisory', config, { signalDir: join(root, 'run') });
    await until('slot', () => kernel.session.indexed.has(id));
    const page = await podsPage();
    const [rule] = page.pods;
    expect(rule).toMatchObject({ pod: '/kubepods/critical/payment-api', importance: 90, mode: 'advisory' });
    expect(page.sourceErrors).toEqual([expect.stringContaining(`${config}:3`)]);
    expect(rule.signalSocket).toBe(join(root, 'run/kubepods~critical~payment-api/shed.sock'));
    const level = async () =>
      JSON.parse((await get(undefined, '/v1/level', { socketPath: rule.signalSocket })).body);
    await until('level', async () => (await level()).state === 'ok');
    expect(await level()).toMatchObject({ shed: 0, importance: 90 });
    expect(logged.filter(({ msg }) => msg.includes(`${config}:3`))).toHaveLength(1);
  });

  it('takes 4,096 cgroups in a burst, without a leak, and lets them all go', async () => {
    await start('enforce');
    const paths = Array.from({ length: 4096 }, (_, pod) => `/kubepods/burstable/pod${pod}`);
    const ids: bigint[] = [];
    for (const [index, path] of paths.entries()) {
      ids.push(BigInt(1_000_000 + index));
      kernel.tell({ change: 'created', id: BigInt(1_000_000 + index), path });
      // as fast as a kernel makes them, some 60 us each
      if (index % 64 === 63) await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await until('all slots', () => kernel.session.indexed.size >= 4096);
    // How soon is measured in the kernel suite; here other suites share the CPUs.
    const total = await metric(/^scx_slo_resolve_duration_seconds_count/);
    expect(total[0]?.split(' ').at(-1)).toBe('4096');
    for (const [index, path] of paths.entries())
      kernel.tell({ change: 'removed', id: ids[index] ?? 0n, path });
    await until('all released', () => kernel.session.indexed.size === 0);
    expect(await metric(/^scx_slo_unresolved_pods/)).toEqual(['scx_slo_unresolved_pods 0']);
    expect(await metric(/^scx_slo_slots\{state="used"/)).toEqual(['scx_slo_slots{state="used"} 0']);
  });
});

describe('from misses to 429', () => {
  const slotOfCart = () =>
    kernel.session.indexed.get(statSync(join(cgroups, POD), { bigint: true }).ino) ?? -1;

  const overload = () => {
    kernel.session.addWaits(slotOfCart(), bucketOf(60e6), 50, 60e6);
    kernel.session.addMisses(slotOfCart(), 'sched', 50);
  };

  it('counts waits and misses, and sheds in advisory mode', async () => {
    makeCgroup(POD);
    source.set(cart());
    await start('advisory');
    await until('slot', () => slotOfCart() > 0);
    const timer = setInterval(overload, 50);
    try {
      await until(
        '429',
        async () => (await get(ports.signal, '/v1/shed', { from: '127.0.0.2' })).status === 429,
      );
    } finally {
      clearInterval(timer);
    }
    const stranger = await get(ports.signal, '/v1/shed', { from: '127.0.0.3' });
    expect([stranger.status, stranger.headers['x-scx-slo-state']]).toEqual([200, 'unknown']);
    const [cartView] = (await podsPage()).pods;
    expect(cartView.shed).toBeGreaterThan(0);
    expect(cartView.wait.p95Ms).toBeGreaterThan(45);
    expect(cartView).toMatchObject({ state: 'shedding', reason: expect.stringContaining('severity') });
    expect(cartView.shedInputs).toMatchObject({ budgetMs: 50, missRatio: 1, nodeBusy: 1, queueWaitMs: null });
    expect(cartView.shedInputs.waitP95Ms).toBeGreaterThan(45);
    expect(cartView.shedComputed).toBe(cartView.shed);
    const [misses] = await metric(
      /^scx_slo_deadline_misses_total\{namespace="shop",pod="cart",container="",reason="sched"\}/,
    );
    expect(Number(misses?.split(' ').at(-1))).toBeGreaterThanOrEqual(50);
    expect(await metric(/^scx_slo_shed_answers_total.*answer="deny"\} [1-9]/)).toHaveLength(1);
  });

  it('leaves the answers to a signal process, and counts what it answered', async () => {
    makeCgroup(POD);
    source.set(cart());
    const levelsSocket = join(root, 'levels.sock');
    await start('advisory', undefined, { levelsSocket });
    expect(ports.signal).toBeUndefined();
    const signal = await startSignal({ levels: levelsSocket });
    const timer = setInterval(overload, 50);
    try {
      const ask = (from = '127.0.0.2') => get(signal.port, '/v1/shed', { from });
      await until('429', async () => (await ask()).status === 429);
      expect((await ask('127.0.0.3')).headers['x-scx-slo-state']).toBe('unknown');
      const counted = async () =>
        (await metric(/^scx_slo_shed_answers_total.*answer="deny"\} [1-9]/)).length === 1 &&
        (await metric(/^scx_slo_unknown_callers_total [1-9]/)).length === 1;
      await until('counts', counted);
      source.set();
      await until('unknown', async () => (await ask()).headers['x-scx-slo-state'] === 'unknown');
    } finally {
      clearInterval(timer);
      await signal.stop();
    }
  });

  it('computes and shows in a dry run, and refuses nothing', async () => {
    makeCgroup(POD);
    source.set(cart());
    await start('advisory', undefined, { shedDryRun: true });
    await until('slot', () => slotOfCart() > 0);
    const timer = setInterval(overload, 50);
    try {
      await until('level', async () => (await podsPage()).pods[0].shedComputed > 0.5);
    } finally {
      clearInterval(timer);
    }
    const [cartView] = (await podsPage()).pods;
    expect(cartView).toMatchObject({ shed: 0, state: 'ok', reason: expect.stringMatching(/^dry run: work/) });
    const { status, headers } = await get(ports.signal, '/v1/shed', { from: '127.0.0.2' });
    expect([status, headers['x-scx-slo-shed']]).toEqual([200, '0.00']);
  });

  it('never sheds in mode observe', async () => {
    makeCgroup(POD);
    source.set(cart());
    await start('observe');
    await until('slot', () => slotOfCart() > 0);
    for (let n = 0; n < 20; n += 1) {
      overload();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await until('counted', async () => (await podsPage()).pods[0].missRatio === 1);
    expect((await podsPage()).pods[0]).toMatchObject({ shed: 0, state: 'ok' });
  });

  it('keeps counting when a pod is made anew under its name', async () => {
    const first = createCgroupAndTarget('one');
    await start('observe');
    await until('slot', () => kernel.session.indexed.has(first));
    kernel.session.addWaits(kernel.session.indexed.get(first) ?? -1, 20, 7, 1e6);
    kernel.tell({ change: 'removed', id: first, path: '/kubepods/podone' });
    await until('released', () => !kernel.session.indexed.has(first));
    const second = createCgroupAndTarget('two');
    kernel.tell({ change: 'created', id: second, path: '/kubepods/podtwo' });
    await until('slot', () => kernel.session.indexed.has(second));
    kernel.session.addWaits(kernel.session.indexed.get(second) ?? -1, 20, 5, 1e6);
    await until('12 bursts', async () => (await metric(/^scx_slo_bursts_total.*cart.* 12$/)).length === 1);
  });

  const createCgroupAndTarget = (uid: string): bigint => {
    const id = makeCgroup(`/kubepods/pod${uid}`);
    source.set(cart({ uid, cgroupUid: uid }));
    return id;
  };
});

describe('modes', () => {
  const nodeMode = () => metric(/^scx_slo_node_mode\{.* 1$/);

  it('falls back to advisory and says why once per surface', async () => {
    const reasons = [
      { code: 'NoSchedExt' as const, message: 'no sched_ext here', hint: 'use another kernel' },
    ];
    kernel.preflightAnswer = { canObserve: true, canEnforce: false, reasons, kernel: '6.1' };
    await start('enforce');
    expect(kernel.session.kind).toBe('observer');
    expect(await nodeMode()).toEqual(['scx_slo_node_mode{mode="advisory",reason="NoSchedExt"} 1']);
    expect((await get(ports.metrics, '/readyz')).body).toContain('NoSchedExt: no sched_ext here');
    expect(await podsPage()).toMatchObject({
      mode: 'advisory',
      wantedMode: 'enforce',
      modeReason: reasons[0],
    });
    expect(logged.filter(({ msg }) => msg.includes('no sched_ext here'))).toHaveLength(1);
  });

  it('falls back when the scheduler cannot be attached', async () => {
    kernel.schedulerFailure = failure(
      'SLO_E_OTHER_SCHEDULER',
      'not attached',
      'scx_other is loaded',
      'stop it',
    );
    await start('enforce');
    expect(await nodeMode()).toEqual(['scx_slo_node_mode{mode="advisory",reason="OtherScheduler"} 1']);
  });

  it('stays up without any kernel side', async () => {
    kernel.preflightAnswer = {
      canObserve: false,
      canEnforce: false,
      reasons: [{ code: 'NoBtf', message: 'no BTF', hint: '' }],
      kernel: '',
    };
    kernel.feedFailure = failure('SLO_E_TEST', 'no events', 'the test says so', 'nothing');
    makeCgroup(POD);
    source.set(cart());
    await start('advisory');
    expect(await nodeMode()).toEqual(['scx_slo_node_mode{mode="unsupported",reason="NoBtf"} 1']);
    expect((await get(ports.signal, '/v1/shed', { from: '127.0.0.2' })).status).toBe(200);
    expect((await get(ports.metrics, '/healthz')).status).toBe(200);
  });

  it('observes when the scheduler leaves, keeps counting, and tries again after a hotplug', async () => {
    const id = makeCgroup(POD);
    source.set(cart());
    await start('enforce');
    await until('slot', () => kernel.session.indexed.has(id));
    const scheduler = kernel.session;
    scheduler.addWaits(scheduler.indexed.get(id) ?? -1, 20, 5, 1e6);
    scheduler.healthCounters.preemptKicks = 9;
    kernel.schedulerFailure = undefined;
    scheduler.exitInfo = {
      kind: 66,
      exitCode: 1n << 48n,
      reason: 'unregistered from the main kernel',
      message: 'cpu 1 went offline',
      dump: '',
    };
    await until('observer', () => kernel.session.kind === 'observer');
    expect(scheduler.closed).toBe(1);
    await until('slot in the observer', () => kernel.session.indexed.has(id));
    kernel.session.addWaits(kernel.session.indexed.get(id) ?? -1, 20, 3, 1e6);
    await until('8 bursts', async () => (await metric(/^scx_slo_bursts_total.*cart.* 8$/)).length === 1);
    expect(await metric(/^scx_slo_preempt_kicks_total/)).toEqual(['scx_slo_preempt_kicks_total 9']);
    expect(await metric(/^scx_slo_scheduler_exits_total\{.* [^0]/)).toEqual([
      'scx_slo_scheduler_exits_total{reason="hotplug"} 1',
    ]);
    const exitsPage = async () => JSON.parse((await get(ports.local, '/v1/exits')).body);
    expect(await exitsPage()).toMatchObject({
      wantedMode: 'enforce',
      counts: { hotplug: 1, stall: 0 },
      exits: [{ class: 'hotplug', message: 'cpu 1 went offline', kernel: '7.3.4-fake' }],
      events: [{ reason: 'SchedExtEnabled' }, { reason: 'SchedExtEjected', count: 1 }],
    });
    await until('scheduler again', () => kernel.session.kind === 'scheduler');
    expect((await exitsPage()).restart).toEqual({ action: 'none', inSeconds: 0, failuresLastHour: 0 });
    expect(readdirSync(join(root, 'state/exits'))).toHaveLength(1);
    await until('slot again', () => kernel.session.indexed.has(id));
    expect(await nodeMode()).toEqual(['scx_slo_node_mode{mode="enforce",reason=""} 1']);
  });

  it('hands the node back when it stops', async () => {
    await start('enforce');
    const { session } = kernel;
    await agent?.stop();
    expect(session.closed).toBeGreaterThanOrEqual(1);
    await expect(get(ports.metrics, '/healthz')).rejects.toThrow('ECONNREFUSED');
  });

  it('says which port is taken, and leaves nothing running', async () => {
    await start('observe');
    const taken = { host: '127.0.0.1', port: ports.metrics ?? 0 };
    const { log } = { log: pino({ level: 'silent' }) };
    const options = { mode: 'observe', metricsAddress: taken, nodeName: 'n' } as AgentOptions;
    const second = new Agent(options, { kernel, log, sources: [], cgroupMount: cgroups, cpus: () => 2 });
    expect(await second.start()).toMatchObject({
      code: 'SLO_E_LISTEN',
      what: `cannot listen on 127.0.0.1:${taken.port}`,
    });
    expect(kernel.sessions).toHaveLength(1);
  });
});

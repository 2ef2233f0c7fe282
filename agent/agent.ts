/**
 * The node agent, wired: sources and cgroups -> plan -> kernel slots -> counters -> metrics and shed levels. What
 * each part does is in its own module; here is only who calls whom, and when.
 */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { VERSION } from '../slo/version.ts';
import { readCgroupLimits } from './cgroups/cgroup-files.ts';
import { LimitsCache } from './cgroups/cgroup-limits.ts';
import { CgroupWatch } from './cgroups/cgroup-watch.ts';
import type { ExitRecord } from './exit-record.ts';
import { type Failure, isFailure } from './failure.ts';
import type { KernelSession } from './kernel/port.ts';
import type { KernelSide } from './kernel-side.ts';
import type { NodeEvent } from './node-events.ts';
import type { NodeMode } from './node-mode.ts';
import type { AgentView } from './observe/agent-view.ts';
import { HealthSum } from './observe/health-sum.ts';
import { Ledger } from './observe/ledger.ts';
import { PageServers } from './observe/page-servers.ts';
import { SelfWatch } from './observe/self-watch.ts';
import { ThrottleLedger } from './observe/throttle-ledger.ts';
import type { AgentOptions } from './options.ts';
import { LimitWatch } from './plan/limit-watch.ts';
import type { Plan } from './plan/plan.ts';
import { Planner } from './plan/planner.ts';
import { Reserver } from './plan/reserver.ts';
import { SlotKeeper } from './plan/slot-keeper.ts';
import type { TargetSnapshot } from './pods/target.ts';
import { ProblemLog } from './problem-log.ts';
import type { NodeStatus, Reporter } from './report/reporter.ts';
import { SchedulerHistory } from './scheduler-history.ts';
import { SessionKeeper } from './session-keeper.ts';
import { LevelBoard } from './shed/level-board.ts';
import { NodeLoad, parseCpuTicks } from './shed/node-load.ts';
import { importanceByKey } from './shed/pod-facts.ts';
import { readTotalsBelow } from './shed/pressure-feed.ts';
import { ShedLoop } from './shed/shed-loop.ts';
import { SignalService } from './signal/service.ts';
import { errorText, type NamedSource, TargetStore } from './target-store.ts';

export interface AgentParts {
  kernel: KernelSide;
  log: Logger;
  sources: readonly NamedSource[];
  /** Who is told what happens here. */
  reporters?: readonly Reporter[];
  /** Where cgroup v2 is mounted. */
  cgroupMount: string;
  /** Online CPUs, now. */
  cpus: () => number;
  /** Text of /proc/stat. */
  procStat?: () => string;
}

const TICK_MS = 200;
const SLOW_TICK_MS = 30_000;
/** Slots that did nothing cost next to nothing; 4,096 busy ones without an SLO take some 8 s. */
const READS_PER_TICK = { hot: 1_000, others: 100, throttles: 200 };

/** Ports that the servers got; undefined: off. */
export interface AgentPorts {
  metrics: number | undefined;
  local: number | undefined;
  signal: number | undefined;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #targets = new TargetStore();
  readonly #ledger = new Ledger();
  readonly #throttles = new ThrottleLedger();
  readonly #keeper = new SlotKeeper(this.#ledger, this.#throttles);
  readonly #reserver: Reserver;
  readonly #limits: LimitWatch;
  readonly #cgroups: CgroupWatch;
  readonly #planner: Planner;
  readonly #history: SchedulerHistory;
  readonly #sessions: SessionKeeper;
  readonly #problems: ProblemLog;
  readonly #reporters: readonly Reporter[];
  readonly #shed: ShedLoop;
  readonly #load = new NodeLoad();
  readonly #health = new HealthSum();
  readonly #self = new SelfWatch(TICK_MS);
  readonly #signal: SignalService;
  readonly #pages: PageServers;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ending = new AbortController();
  #session: KernelSession | undefined;
  /** Read again with every session: a CPU that comes or goes ends the scheduler's. */
  #cpus: number;
  #importance = new Map<string, number>();
  #missEvents = 0;
  #readAtMs = performance.now();
  #ready = false;

  constructor(options: AgentOptions, parts: AgentParts) {
    const { kernel, log, cgroupMount } = parts;
    this.#cpus = parts.cpus();
    this.#options = options;
    this.#parts = parts;
    this.#problems = new ProblemLog((kind, problem) => log.warn({ problem: kind }, problem));
    const limits = new LimitsCache((path) => readCgroupLimits(`${cgroupMount}${path}`));
    this.#cgroups = new CgroupWatch({
      mount: cgroupMount,
      kernel,
      log,
      isWanted: (path) => this.#targets.hasPath(path),
      onCgroup: (change) => this.#planner.changed(change),
      onRepair: () => this.#planner.request(),
    });
    const { tree } = this.#cgroups;
    const keeper = this.#keeper;
    this.#reserver = new Reserver({
      keeper,
      log,
      cpus: () => this.#cpus,
      namespaceCapPercent: (namespace) => this.#targets.reservationCapPercent(namespace),
      systemShare: () => this.#limits.systemShare,
    });
    this.#limits = new LimitWatch({
      tree,
      keeper,
      limits,
      mount: cgroupMount,
      onChange: () => this.#planner.request(),
    });
    this.#planner = new Planner({
      tree,
      targets: this.#targets,
      keeper,
      limits,
      problems: this.#problems,
      mode: () => (this.#session?.kind === 'scheduler' ? 'enforce' : 'advisory'),
      reservedCpus: (id) => this.#reserver.reservedCpus(id),
      onPlan: (plan) => this.#onPlan(plan),
    });
    const events = {
      onMiss: () => {
        this.#missEvents += 1;
      },
      onProblem: (problem: Failure) => log.warn({ failure: problem }, 'the kernel side has a problem'),
    };
    this.#reporters = parts.reporters ?? [];
    this.#history = new SchedulerHistory(options.stateDir, log, [(event) => this.#onNodeEvent(event)]);
    this.#sessions = new SessionKeeper({
      kernel,
      wanted: options.mode,
      events,
      listener: this.#sessionListener(),
      nodeEvents: this.#history.events,
      log,
    });
    this.#shed = new ShedLoop({
      board: new LevelBoard(({ key, computedRatio, importance, reason }) =>
        log.info(
          { target: key, shed: computedRatio, importance, reason },
          computedRatio > 0 ? 'shedding begins' : 'shedding ends',
        ),
      ),
      readTotals: readTotalsBelow(cgroupMount),
      dryRun: options.shedDryRun,
    });
    this.#pages = new PageServers(log);
    this.#signal = new SignalService(options, log, (report) => this.#shed.report(report));
  }

  /** Resolves when the node is measured or enforced; a Failure means that nothing was started. */
  async start(): Promise<AgentPorts | Failure> {
    const ports = await this.#listen();
    if (isFailure(ports)) {
      await this.stop();
      return ports;
    }
    for (const { name, source } of this.#parts.sources) {
      await source.start((snapshot) => this.#onSnapshot(name, snapshot));
    }
    await this.#history.exits.load();
    await this.#cgroups.start();
    await this.#sessions.start();
    if (this.#ending.signal.aborted) return ports;
    this.#timers.push(
      setInterval(() => this.#tick(), TICK_MS),
      setInterval(() => this.#slowTick(), SLOW_TICK_MS),
    );
    this.#ready = true;
    return ports;
  }

  /** Hands the node back and stops everything; safe to call twice. */
  async stop(): Promise<void> {
    this.#ready = false;
    this.#ending.abort();
    for (const timer of this.#timers) clearInterval(timer);
    this.#planner.stop();
    for (const { source } of this.#parts.sources) source.stop();
    this.#pages.stop();
    this.#signal.stop();
    await this.#cgroups.stop();
    const problem = await this.#sessions.stop();
    await Promise.all(this.#reporters.map((reporter) => reporter.stop()));
    await this.#history.exits.settled();
    if (problem !== undefined) this.#parts.log.error({ failure: problem }, problem.what);
  }

  async #listen(): Promise<AgentPorts | Failure> {
    const pages = await this.#pages.start(
      this.#options,
      () => this.#view(),
      () => this.#ready,
    );
    if (isFailure(pages)) return pages;
    const signal = await this.#signal.start();
    return isFailure(signal) ? signal : { ...pages, signal };
  }

  #onSnapshot(source: string, snapshot: TargetSnapshot): void {
    this.#targets.set(source, snapshot);
    this.#problems.update(source, snapshot.errors.map(errorText));
    this.#importance = importanceByKey(this.#targets.targets);
    this.#signal.setPods(this.#targets.pods());
    this.#planner.targetsChanged();
  }

  get #status(): NodeStatus {
    return { mode: this.#sessions.mode, canEnforce: this.#sessions.canEnforce };
  }

  #onNodeEvent(event: NodeEvent): void {
    for (const reporter of this.#reporters) {
      reporter.onNodeEvent?.(event);
      reporter.onStatus?.(this.#status);
    }
  }

  #onPlan(plan: Plan): void {
    const snapshot = this.#targets.snapshotOf('kube');
    for (const reporter of this.#reporters) reporter.onPlan?.(plan, snapshot, this.#status);
    this.#signal.setSlots(plan.slots, this.#parts.cgroupMount);
  }

  #sessionListener() {
    return {
      onSessionEnd: () => {
        const nowMs = performance.now();
        this.#keeper.readAll(nowMs);
        if (this.#session !== undefined) this.#health.update(this.#session.health());
        this.#health.endSession();
        this.#session = undefined;
        this.#keeper.attach(undefined, nowMs);
      },
      onSession: (session: KernelSession | undefined, _mode: NodeMode) => {
        this.#session = session;
        this.#cpus = this.#parts.cpus();
        this.#keeper.attach(session, performance.now());
        this.#limits.attach();
        this.#planner.request();
      },
      onSchedulerExit: (record: ExitRecord) => this.#history.add(record),
    };
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#self.ticked(nowMs);
    if (this.#session !== undefined) {
      const health = this.#session.health();
      this.#keeper.read(READS_PER_TICK, nowMs);
      this.#reserver.step(nowMs);
      this.#health.update(health);
      this.#limits.turn(this.#session, health.limitChanges, nowMs);
      this.#readAtMs = nowMs;
    }
    const { procStat = () => readFileSync('/proc/stat', 'latin1') } = this.#parts;
    const busy = this.#load.update(parseCpuTicks(procStat()));
    const { mode } = this.#sessions.mode;
    this.#shed.tick({
      mode,
      live: this.#keeper.live(),
      revision: this.#keeper.revision,
      importance: this.#importance,
      nodeBusy: busy,
      cpus: this.#cpus,
      kernelAgeMs: nowMs - this.#readAtMs,
      nowMs,
    });
    this.#signal.publish(
      this.#shed.board.levels((key) => this.#signal.addressesOf(key)),
      nowMs,
    );
  }

  #slowTick(): void {
    this.#ledger.expire(performance.now());
    this.#throttles.expire(performance.now());
    this.#planner.tellUnresolved();
    for (const reporter of this.#reporters) reporter.onStatus?.(this.#status);
  }

  #view(): AgentView {
    const planner = this.#planner;
    return {
      nodeName: this.#options.nodeName,
      version: VERSION,
      kernelVersion: this.#sessions.kernelVersion,
      mode: this.#sessions.mode,
      live: () => this.#keeper.live(),
      series: () => this.#ledger.series(),
      throttles: () => this.#throttles.series(),
      plan: planner.latest,
      reservation: this.#reserver.reservation,
      systemReservedCpus: this.#reserver.systemReservedCpus,
      slotsUsed: this.#keeper.used,
      slotsCapacity: this.#keeper.capacity,
      board: this.#shed.board,
      health: this.#health.total(),
      cgroupEventsDropped: this.#cgroups.dropped,
      missEvents: this.#missEvents,
      schedulerExits: this.#history.counts,
      restart: this.#sessions.restart,
      exits: this.#history.exits.records,
      events: this.#history.events.recent(),
      shedAnswers: this.#signal.answers,
      unknownCallers: this.#signal.unknownCallers,
      sourceErrors: () => this.#targets.errors(),
      sourceStates: () => this.#parts.sources.flatMap(({ source }) => source.state?.() ?? []),
      eventCounts: () => this.#reporters.flatMap((reporter) => reporter.eventCounts?.() ?? []),
      resolveHist: planner.resolveHist,
      resolveSumNs: planner.resolveSumNs,
      eventLoopP99S: () => this.#self.takeP99S(),
      socketOf: (path) => this.#signal.socketOf(path),
    };
  }
}

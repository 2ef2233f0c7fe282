/** Runs windows on the node: pods, then whoever schedules them, then the load; and all of it away again. */
import { cgroupId } from '../../demo/node-cgroups.ts';
import type { Job, MeasuredWindow } from '../measured.ts';
import { type Case, podsOf, type Scenario } from '../scenario.ts';
import type { LoadOptions } from './load.ts';
import { observe } from './observer.ts';
import { killPods, makePods, type NodePod, removePods, slosOf } from './pods.ts';
import { enableCount, type RunningPolicy, schedulerName, startPolicy, weightsOf } from './policy.ts';
import { measureWindow } from './window.ts';

/** Between the scheduler's start or the last window and the first request. */
const SETTLE_MS = 1000;
/** After the window, for requests that started in it. */
const GRACE_MS = 300;

/** Setting up so many takes long enough to be told about. */
const MANY_PODS = 100;

/** Where things are on this node, and how fast it is. */
export interface Place {
  project: string;
  /** bench-load */
  program: string;
  podsDir: string;
  logDir: string;
  cpus: number;
  nsPerTurn: number;
  /** Progress, of what takes long. */
  say: (text: string) => void;
}

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a case's pods are, whatever they do: cases in a row with the same pods keep pods and scheduler. */
const podsKey = (one: Case, policy: string): string =>
  JSON.stringify(
    podsOf(one, policy).map((pod) => ({
      ...pod,
      containers: pod.containers.map(({ work: _work, ...rest }) => rest),
    })),
  );

/** The load of `one` on pods that were made for a case with the same pods. */
const withWorkOf = (pods: readonly NodePod[], one: Case): NodePod[] =>
  pods.map((pod) => {
    const spec = one.pods.find(({ name }) => name === pod.spec.name) ?? pod.spec;
    const containers = pod.containers.map((container, index) => ({
      ...container,
      spec: spec.containers[index] ?? container.spec,
    }));
    return { ...pod, spec, containers };
  });

const failedWindow = (policy: string, one: Case, scheduler: string, failure: string): MeasuredWindow => ({
  policy,
  case: one.name,
  scheduler,
  failure,
  windowMs: 0,
  maxLateMs: 0,
  services: [],
  progress: [],
  podSeconds: {},
  containerSeconds: {},
  podsSeconds: 0,
  otherSeconds: 0,
  waits: {},
});

interface OpenPolicy {
  policy: string;
  key: string;
  pods: NodePod[];
  running: RunningPolicy;
  scheduler: string;
  enableCount: string;
  observer: ReturnType<typeof observe> | undefined;
}

/** Pods of which the agent has the right cgroup, their own or their container's, in a slot. */
const slotsRight = (
  pods: readonly NodePod[],
  slots: readonly { pod: string; cgroupId: string }[] | undefined,
): Pick<MeasuredWindow, 'slots'> => {
  if (slots === undefined) return {};
  const found = new Set(slots.map(({ pod, cgroupId }) => `${pod} ${cgroupId}`));
  const slos = slosOf(pods);
  const isRight = ({ spec, cgroup, containers }: NodePod): boolean =>
    [cgroup, ...containers.map((one) => one.cgroup)].some((path) =>
      found.has(`${spec.name} ${cgroupId(path)}`),
    );
  return { slots: { have: slos.filter(isRight).length, want: slos.length } };
};

const leftSince = ({ scheduler, enableCount: before }: OpenPolicy): Pick<MeasuredWindow, 'failure'> => {
  const after = schedulerName();
  if (after !== scheduler) return { failure: `${scheduler} left, ${after} took over` };
  return enableCount() === before ? {} : { failure: `${scheduler} left and was loaded again` };
};

/** Windows one after another; keeps pods and scheduler while the next window has the same ones. */
export class WindowRunner {
  readonly #scenario: Scenario;
  readonly #job: Job;
  readonly #place: Place;
  #open: OpenPolicy | undefined;

  constructor(scenario: Scenario, job: Job, place: Place) {
    this.#scenario = scenario;
    this.#job = job;
    this.#place = place;
  }

  #load(one: Case): LoadOptions {
    const { warmUpSeconds } = this.#scenario;
    const windowSeconds = one.windowSeconds ?? this.#scenario.windowSeconds;
    return {
      program: this.#place.program,
      cpus: this.#place.cpus,
      nsPerTurn: this.#place.nsPerTurn,
      seeds: this.#job.seeds[one.name] ?? {},
      settleMs: SETTLE_MS,
      warmUpMs: warmUpSeconds * 1000,
      windowMs: windowSeconds * 1000,
      graceMs: GRACE_MS,
    };
  }

  /** Pods on the node, then whoever schedules them. */
  async #start(policy: string, one: Case): Promise<OpenPolicy> {
    const key = `${policy} ${podsKey(one, policy)}`;
    if (this.#open?.key === key) return this.#open;
    const kept = await this.#closePods(policy);
    const pods = makePods(podsOf(one, policy), {
      cpus: this.#place.cpus,
      weights: weightsOf(policy),
      podsDir: this.#place.podsDir,
    });
    const slos = slosOf(pods);
    try {
      const waitFor = slos.map(({ spec }) => spec.name);
      const latencyCgroups = slos.map(({ cgroup }) => cgroup);
      if (pods.length >= MANY_PODS)
        this.#place.say(`${policy}: ${pods.length} pods are there, starting the policy`);
      const context = { job: this.#job, ...this.#place, waitFor, latencyCgroups };
      const running = kept ?? (await startPolicy(policy, context));
      const observer = slos.length > 0 ? observe(slos) : undefined;
      const now = { scheduler: schedulerName(), enableCount: enableCount() };
      this.#open = { policy, key, pods, running, ...now, observer };
      return this.#open;
    } catch (error) {
      await kept?.stop();
      await removePods(pods, this.#place.podsDir);
      throw error;
    }
  }

  /** One policy in one case. What goes wrong is in the window's `failure`. */
  async window(policy: string, one: Case): Promise<MeasuredWindow> {
    let scheduler = 'none';
    try {
      const open = await this.#start(policy, one);
      if (open.pods.length >= MANY_PODS) this.#place.say(`${policy}: starting the load`);
      scheduler = open.scheduler;
      const measured = await measureWindow(withWorkOf(open.pods, one), {
        policy,
        caseName: one.name,
        scheduler,
        load: this.#load(one),
        policyCgroup: open.running.cgroup,
        observer: open.observer,
        countPrograms: this.#scenario.countPrograms === true,
      });
      const slots = slotsRight(open.pods, await open.running.slots());
      killPods();
      const left = leftSince(open);
      if (left.failure !== undefined) await this.close();
      return { ...measured, ...slots, ...left };
    } catch (error) {
      await this.close();
      return failedWindow(policy, one, scheduler, errorText(error));
    }
  }

  /** Takes the pods away, and the policy unless it is `next` and would start the same for other pods; answers with it. */
  async #closePods(next?: string): Promise<RunningPolicy | undefined> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return undefined;
    killPods();
    open.observer?.close();
    const isKept = open.policy === next && open.running.anyPods;
    if (!isKept) await open.running.stop();
    await removePods(open.pods, this.#place.podsDir);
    return isKept ? open.running : undefined;
  }

  async close(): Promise<void> {
    await this.#closePods();
  }
}

/** What the node measured in one window, as it leaves the guest (measured.json). */

export interface MeasuredService {
  pod: string;
  requestMs: number;
  ratePerSecond: number;
  /** Of its arrivals, which began `warmUpMs` before the window. */
  seed: number;
  warmUpMs: number;
  /** Requests whose intended start lies in the window, in their order, from its start. */
  startsMs: number[];
  /** From the intended start to the end of the work; of those that never ended, their age. */
  latenciesMs: number[];
  /** So many of these are ages. */
  lowerBounds: number;
  /** Ended within the window, whenever they started: what the window's CPU time was spent on. */
  servedInWindow: number;
  /** Started but not ended at the end of the window, and the age of the oldest. */
  backlog: number;
  oldestMs: number;
}

/** Threads that count something: turns, round trips, messages, wake-ups. */
export interface MeasuredProgress {
  pod: string;
  container: string;
  kind: string;
  threads: number;
  count: number;
  /** Longest time that one thread was kept from the CPU; of wakers: the latest wake-up. */
  maxGapMs: number;
  /** Of the thread that got least and the one that got most. */
  leastCount: number;
  mostCount: number;
}

export interface MeasuredWaits {
  bursts: number;
  misses: Record<string, number>;
}

export interface MeasuredProgram {
  name: string;
  runs: number;
  ns: number;
}

export interface MeasuredPrograms {
  programs: MeasuredProgram[];
  /** Of all tasks while the programs were counted. */
  wakeUps: number;
  seconds: number;
}

export interface MeasuredWindow {
  policy: string;
  case: string;
  /** `EEVDF`, or what sched_ext says runs. */
  scheduler: string;
  /** Why there are no figures: the policy did not start, or left. */
  failure?: string;
  windowMs: number;
  /** Worst delay of the pacer itself. */
  maxLateMs: number;
  services: MeasuredService[];
  progress: MeasuredProgress[];
  /** CPU seconds in the window, by pod and by `pod/container`. */
  podSeconds: Record<string, number>;
  containerSeconds: Record<string, number>;
  /** All pods together, and everything that is in no pod. */
  podsSeconds: number;
  otherSeconds: number;
  /** Of otherSeconds what the policy's own processes used, such as the agent; absent: it has none. */
  policySeconds?: number;
  /** Of pods with an SLO. */
  waits: Record<string, MeasuredWaits>;
  programs?: MeasuredPrograms;
  /** Slots that the agent says exist, and the pods that should have one. */
  slots?: { have: number; want: number };
}

/** One boot: every policy of a scenario once. */
export interface MeasuredRun {
  scenario: string;
  run: number;
  kernel: string;
  cpus: number;
  llcs: number;
  order: string[];
  nsPerTurn: number;
  windows: MeasuredWindow[];
}

/** What the host tells the guest (job.json). */
export interface Job {
  scenario: string;
  run: number;
  order: string[];
  /** By case and pod: the seed of its arrivals. */
  seeds: Record<string, Record<string, number>>;
  /** Peers and the edf object: policy name -> path below the project's directory. */
  peers: Record<string, { program: string; args: string[] }>;
  edfObjects?: string;
}

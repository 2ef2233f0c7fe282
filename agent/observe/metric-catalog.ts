/** Every metric of the agent, once. docs/metrics.md is generated from it. */

export interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const POD = ['namespace', 'pod', 'container'] as const;

export const METRICS = {
  schedDelay: {
    name: 'scx_slo_sched_delay_seconds',
    type: 'histogram',
    labels: POD,
    help: 'Time from runnable to running, one entry a wait. CPU scheduling delay, not request latency. Throttling by cpu.max is not in it.',
  },
  misses: {
    name: 'scx_slo_deadline_misses_total',
    type: 'counter',
    labels: [...POD, 'reason'],
    help: 'Wake-to-sleep bursts that waited longer than the budget. Only sched and stall break the promise; over: credit used up, shed: below the importance the node can serve, throttle: cpu.max.',
  },
  bursts: {
    name: 'scx_slo_bursts_total',
    type: 'counter',
    labels: POD,
    help: 'Finished wake-to-sleep bursts; misses / bursts is the miss ratio.',
  },
  cpu: {
    name: 'scx_slo_cpu_seconds_total',
    type: 'counter',
    labels: POD,
    help: 'CPU time that the slot used.',
  },
  throttled: {
    name: 'scx_slo_throttled_seconds_total',
    type: 'counter',
    labels: POD,
    help: 'Runnable time held back by cpu.max of the cgroup or an ancestor, summed over tasks. Counted where waits are: the pod, or a container with an SLO of its own. Only in mode enforce, where the kernel itself counts none.',
  },
  cpuPeriods: {
    name: 'scx_slo_cpu_periods_total',
    type: 'counter',
    labels: POD,
    help: 'Periods of cpu.max in which the cgroup was runnable; for the pod or container that has the limit.',
  },
  cpuThrottledPeriods: {
    name: 'scx_slo_cpu_throttled_periods_total',
    type: 'counter',
    labels: POD,
    help: 'Periods of cpu.max in which the quota ran out.',
  },
  budget: {
    name: 'scx_slo_budget_seconds',
    type: 'gauge',
    labels: POD,
    help: 'Scheduling-delay budget in force.',
  },
  importance: {
    name: 'scx_slo_importance',
    type: 'gauge',
    labels: POD,
    help: 'Importance in force, 1 .. 100; higher loses later.',
  },
  reserved: {
    name: 'scx_slo_reserved_cpus',
    type: 'gauge',
    labels: POD,
    help: 'CPUs reserved in the deadline tier; pod="(system)": for what runs outside the pods.',
  },
  shedRatio: {
    name: 'scx_slo_shed_ratio',
    type: 'gauge',
    labels: ['namespace', 'pod'],
    help: 'Share of its requests that the pod is asked to refuse, 0 .. 0.95.',
  },
  shedAnswers: {
    name: 'scx_slo_shed_answers_total',
    type: 'counter',
    labels: ['namespace', 'pod', 'answer'],
    help: 'Answers of the signal endpoint: allow, deny.',
  },
  unknownCallers: {
    name: 'scx_slo_unknown_callers_total',
    type: 'counter',
    labels: [],
    help: 'Signal requests from addresses that belong to no pod of this node; always answered 200.',
  },
  nodeMode: {
    name: 'scx_slo_node_mode',
    type: 'gauge',
    labels: ['mode', 'reason'],
    help: '1 for the mode in force; reason says why it is less than what was asked for.',
  },
  schedulerExits: {
    name: 'scx_slo_scheduler_exits_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Times that the scheduler ended without the agent telling it to: hotplug (CPUs came or went; loaded again at once), sysrq (SysRq-S; stays off), stall (a task waited beyond the watchdog), error (any other error), other (its link was closed from outside, or no reason was given).',
  },
  schedulerRestart: {
    name: 'scx_slo_scheduler_restart_seconds',
    type: 'gauge',
    labels: [],
    help: 'Until loading the scheduler is tried again; 0: nothing is pending (it runs, was not asked for, or stays off: see scx_slo_node_mode).',
  },
  eventsDropped: {
    name: 'scx_slo_events_dropped_total',
    type: 'counter',
    labels: ['kind'],
    help: 'Kernel events lost to rate limits or a full ring (miss: counted in the counters all the same; cgroup: the tree is read again).',
  },
  missEvents: {
    name: 'scx_slo_miss_events_total',
    type: 'counter',
    labels: [],
    help: 'Miss events received.',
  },
  fairFallbacks: {
    name: 'scx_slo_fair_fallbacks_total',
    type: 'counter',
    labels: [],
    help: 'Times that the kernel side ignored the policy because the agent was silent.',
  },
  preemptKicks: {
    name: 'scx_slo_preempt_kicks_total',
    type: 'counter',
    labels: [],
    help: 'Preemptions for a waiting deadline task.',
  },
  floorPicks: {
    name: 'scx_slo_floor_picks_total',
    type: 'counter',
    labels: [],
    help: 'Dispatches that the floor of the fair tier forced.',
  },
  stalls: {
    name: 'scx_slo_stalls_total',
    type: 'counter',
    labels: [],
    help: 'Tasks found waiting far beyond their budget by the timer.',
  },
  limitChanges: {
    name: 'scx_slo_limit_changes_total',
    type: 'counter',
    labels: [],
    help: 'Writes to cpu.weight, cpu.max and cpu.idle that the kernel told of; on older kernels the agent only finds them by reading.',
  },
  expiredDemotions: {
    name: 'scx_slo_expired_demotions_total',
    type: 'counter',
    labels: [],
    help: 'Overdue deadlines that made way for more important work.',
  },
  throttles: {
    name: 'scx_slo_throttles_total',
    type: 'counter',
    labels: [],
    help: 'Tasks put aside because a quota (cpu.max) had run out.',
  },
  rescues: {
    name: 'scx_slo_rescues_total',
    type: 'counter',
    labels: [],
    help: 'Tasks put in front because they had waited far too long.',
  },
  slots: {
    name: 'scx_slo_slots',
    type: 'gauge',
    labels: ['state'],
    help: 'Slots in the kernel: used, capacity.',
  },
  unresolvedPods: {
    name: 'scx_slo_unresolved_pods',
    type: 'gauge',
    labels: [],
    help: 'Pods and path rules with an SLO whose cgroup does not exist.',
  },
  conflicts: {
    name: 'scx_slo_conflicts',
    type: 'gauge',
    labels: [],
    help: 'Cgroups with two claimants; neither gets it.',
  },
  evicted: {
    name: 'scx_slo_evicted_cgroups',
    type: 'gauge',
    labels: [],
    help: 'Cgroups without a slot because all are taken; they count for their nearest ancestor.',
  },
  sourceErrors: {
    name: 'scx_slo_source_errors',
    type: 'gauge',
    labels: ['source'],
    help: 'Errors in the source as it is now (bad lines, bad manifests).',
  },
  reflectorStale: {
    name: 'scx_slo_reflector_stale_seconds',
    type: 'gauge',
    labels: ['resource'],
    help: 'How long what is known of the API server may have been wrong; 0 while the watch runs.',
  },
  reflectorLists: {
    name: 'scx_slo_reflector_lists_total',
    type: 'counter',
    labels: ['resource'],
    help: 'Lists read from the API server.',
  },
  reflectorWatches: {
    name: 'scx_slo_reflector_watches_total',
    type: 'counter',
    labels: ['resource'],
    help: 'Watches begun.',
  },
  reflectorRepairs: {
    name: 'scx_slo_reflector_repairs_total',
    type: 'counter',
    labels: ['resource'],
    help: 'Changes that only a periodic list found; the watch should have told of them.',
  },
  reflectorErrors: {
    name: 'scx_slo_reflector_errors_total',
    type: 'counter',
    labels: ['resource'],
    help: 'Objects that the agent failed to take in, by a fault of its own.',
  },
  kubeEvents: {
    name: 'scx_slo_kube_events_total',
    type: 'counter',
    labels: ['outcome'],
    help: 'Events about pods and the Node: sent; suppressed by rate limits; dropped because the API server refused them or could not be reached.',
  },
  resolveDuration: {
    name: 'scx_slo_resolve_duration_seconds',
    type: 'histogram',
    labels: [],
    help: 'From the agent learning of a new pod cgroup to its slot being in the map.',
  },
  reservationRatio: {
    name: 'scx_slo_reservation_ratio',
    type: 'gauge',
    labels: ['namespace', 'pod'],
    help: 'Part of the measured demand that is reserved in the deadline tier; below 1, not all of it fits. Both labels empty: the node.',
  },
  buildInfo: {
    name: 'scx_slo_build_info',
    type: 'gauge',
    labels: ['version', 'kernel'],
    help: 'Always 1.',
  },
  eventLoopP99: {
    name: 'scx_slo_agent_event_loop_delay_p99_seconds',
    type: 'gauge',
    labels: [],
    help: "The agent's own event-loop delay, p99 since the last scrape.",
  },
  residentMemory: {
    name: 'scx_slo_agent_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Resident memory of the agent.',
  },
  agentCpu: {
    name: 'scx_slo_agent_cpu_seconds_total',
    type: 'counter',
    labels: [],
    help: 'CPU time of the agent.',
  },
} as const satisfies Record<string, MetricSpec>;

/** Of the signal process, on its own page. */
export const SIGNAL_METRICS = {
  decisions: {
    name: 'scx_slo_signal_answers_total',
    type: 'counter',
    labels: ['answer'],
    help: 'Answers: allow, deny, unknown (no pod of this node; allowed, whatever was asked).',
  },
  handlerDuration: {
    name: 'scx_slo_signal_handler_duration_seconds',
    type: 'histogram',
    labels: [],
    help: 'From a request that is parsed to its answer that is written. Long polls and streams count until they wait.',
  },
  connections: {
    name: 'scx_slo_signal_connections',
    type: 'gauge',
    labels: [],
    help: 'Connections that are open.',
  },
  refused: {
    name: 'scx_slo_signal_connections_refused_total',
    type: 'counter',
    labels: [],
    help: 'Connections closed at once: their caller has too many, or flooded a moment ago.',
  },
  waiting: {
    name: 'scx_slo_signal_waiting',
    type: 'gauge',
    labels: [],
    help: 'Long polls and streams that are open.',
  },
  callers: {
    name: 'scx_slo_signal_callers',
    type: 'gauge',
    labels: [],
    help: 'Pods and path rules that have a level.',
  },
  agentUp: {
    name: 'scx_slo_signal_agent_up',
    type: 'gauge',
    labels: [],
    help: '1 while the agent is connected.',
  },
  levelAge: {
    name: 'scx_slo_signal_level_age_seconds',
    type: 'gauge',
    labels: [],
    help: 'Since the agent spoke last; levels go from 2 s on and are gone after 10 s.',
  },
  residentMemory: {
    name: 'scx_slo_signal_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Resident memory of the signal process.',
  },
} as const satisfies Record<string, MetricSpec>;

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every number that shapes the policy. The agent may set them before load, never
 * after. Times in ns. Each says what it does and what too much of it costs.
 */
#ifndef SCX_SLO_TUNABLES_BPF_H
#define SCX_SLO_TUNABLES_BPF_H

#include "kernel.h"

#define NSEC_PER_USEC	1000ULL
#define NSEC_PER_MSEC	1000000ULL
#define NSEC_PER_SEC	1000000000ULL

/* Possible CPU ids. Too small: CPUs above it are never preempted for a deadline. */
const volatile u32 nr_cpus = 1;

/* The agent's process id: its threads count as system work, so that it can still act on a full node. */
const volatile u32 agent_tgid = 0;

/* One scheduler tick (1/CONFIG_HZ). Slices end at ticks, so shorter ones are not kept. */
const volatile u64 tick_ns = 4 * NSEC_PER_MSEC;

/*
 * Longest slice of a fair task; divided among the waiting ones, not below half a tick.
 * Longer: fewer switches for batch. Risk: a fair task without a kick waits longer.
 */
const volatile u64 fair_slice_ns = 20 * NSEC_PER_MSEC;

/* Time in which every waiting fair task of a CPU should get a turn, while slices allow it. */
const volatile u64 fair_round_ns = 40 * NSEC_PER_MSEC;

/* Slice of a deadline task. Longer: fewer switches. Risk: an equal waits behind it. */
const volatile u64 deadline_slice_ns = 8 * NSEC_PER_MSEC;

/*
 * A group that was idle keeps at most this much of the CPU time that it did not use. More:
 * work that comes in bursts is quicker. Risk: it can push steady work aside for that long.
 */
const volatile u64 fair_lag_ns = 20 * NSEC_PER_MSEC;

/*
 * A group that ran ahead of its share (a pod in the deadline tier) waits at most this much
 * fair time for it. More: shares over time are truer. Risk: longer waits once out of credit.
 */
const volatile u64 fair_debt_ns = 200 * NSEC_PER_MSEC;

/*
 * A fair task queues at most this far behind the others, however small its group's share
 * was at that moment: shares change while it waits, its place does not. More: shares below
 * 1 % are truer. Risk: it waits for that long after its weight was raised.
 */
const volatile u64 fair_wait_ns = 2 * NSEC_PER_SEC;

/* Groups with cpu.idle queue this much fair time behind the others: last, but not never. */
const volatile u64 idle_group_delay_ns = 2 * NSEC_PER_SEC;

/* A group without a runnable task counts for this long among its siblings. Less: more recounting. */
const volatile u64 group_idle_ns = 100 * NSEC_PER_MSEC;

/* A cached share may be this old while groups come and go. Less: more divisions a wake-up. */
const volatile u64 share_max_age_ns = 2 * NSEC_PER_MSEC;

/* An LLC takes the head of another's fair queue when that is behind its own by more than this fair time. */
const volatile u64 fair_balance_ns = 20 * NSEC_PER_MSEC;

/*
 * A task that has been runnable for this long goes to the front of its queue, and the floor
 * doubles (again at twice the time). The kernel ejects a scheduler that lets one wait 30 s.
 */
const volatile u64 rescue_ns = 5 * NSEC_PER_SEC;

/*
 * Floor of the fair tier, in 1/1024 of each CPU while fair work waits there.
 * 0 starves batch (and the 30 s watchdog then ejects us); high values break budgets.
 */
const volatile u32 floor_share = 102;

/*
 * What the floor gives at once, and what fair work may have had in advance. A floor run
 * cannot be preempted until the tick nearest to its end; without that the floor exists on
 * paper only. Longer: fewer switches. Risk: a deadline waits for that long.
 */
const volatile u64 floor_quantum_ns = 4 * NSEC_PER_MSEC;

/*
 * A pod may be ahead of its reservation by this much time, or by deadline_burst_cpu_ns of CPU
 * time, without a later deadline. Less: a pod that never stops running yields sooner to pods
 * that do. Risk: a clump of requests counts as greed.
 */
const volatile u64 deadline_burst_ns = 40 * NSEC_PER_MSEC;
const volatile u64 deadline_burst_cpu_ns = 10 * NSEC_PER_MSEC;

/*
 * An overdue deadline task gives way to more important deadline work after this long, as
 * fair work; else the overdue outrank the fresh, and one pod's overload becomes everybody's.
 */
const volatile u64 overdue_ns = 4 * NSEC_PER_MSEC;

/* A running deadline task is preempted by one whose deadline is earlier by more than this. */
const volatile u64 preempt_margin_ns = NSEC_PER_MSEC;

/* After a kick, how long others leave that CPU to the one who kicked. */
const volatile u64 claim_ns = NSEC_PER_MSEC;

/* CPUs looked at for a victim. More: a better victim on big LLCs. Risk: longer wake-ups. */
const volatile u32 victim_scan = 8;

/*
 * Deadline of system work: tasks outside the pods' tree (kubelet, runtime, sshd), from when
 * they wake. Go programs hand work from thread to thread: on a full node each waits until its
 * deadline is near. Shorter: it goes before pods with tight budgets, too; 4 ms made the
 * bench's many-small miss 1.4 %. Risk of longer: slow probes.
 */
const volatile u64 system_deadline_ns = 20 * NSEC_PER_MSEC;

/*
 * Deadline of the agent itself, which acts a few times a second and is in no hurry within
 * that: its garbage collector's threads wake together, and with a deadline near the pods'
 * they would go before whatever came 30 ms later. Longer: levels and reservations come later.
 */
const volatile u64 agent_deadline_ns = 250 * NSEC_PER_MSEC;

/*
 * CPUs (<< SLO_CPU_SHIFT) that system work may use with a deadline, at least; the agent
 * gives it more as it needs more. Beyond that it is fair work, behind the pods' deadlines.
 * Too little: kubelet waits until the agent has noticed.
 */
const volatile u32 system_reserved = 1u << (SLO_CPU_SHIFT - 3);

/* Deadline of unbound kernel threads; they are few, short and others wait for them. */
const volatile u64 kthread_deadline_ns = NSEC_PER_MSEC;

/*
 * The agent's heartbeat is older than this: it hangs, and its policy may be stale, so
 * pods are scheduled as fair work until it beats again.
 */
const volatile u64 heartbeat_timeout_ns = 8 * NSEC_PER_SEC;

/* How often the timer looks for stalled tasks, changed groups and an old heartbeat. */
const volatile u64 watch_interval_ns = 100 * NSEC_PER_MSEC;

/* The quota timer's shortest and longest pause while tasks are held back by cpu.max. */
const volatile u64 quota_min_ns = 500 * NSEC_PER_USEC;
const volatile u64 quota_max_ns = 10 * NSEC_PER_MSEC;

#endif /* SCX_SLO_TUNABLES_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel side and the agent share: constants and memory layouts.
 *
 * agent/kernel/layout.gen.ts is generated from the BTF of the built objects, so
 * a field moves in one place only; `make generate` rewrites it and CI fails when
 * the file in the tree differs. Every struct is a multiple of 8 bytes and has no
 * implicit padding. Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns).
 */
#ifndef SCX_SLO_ABI_H
#define SCX_SLO_ABI_H

/* A slot is one cgroup that the node accounts for; 0 and 1 always exist. */
#define SLO_SLOTS		16384	/* policies[], stats[] per LLC, slot_of */
#define SLO_SLOT_SYSTEM		0	/* every task outside the pods' subtree */
#define SLO_SLOT_PODS		1	/* pod tasks whose cgroups have no slot (yet) */
#define SLO_SLOT_FIRST		2	/* first slot that the agent hands out */

#define SLO_MAX_CPUS		1024
#define SLO_MAX_LLCS		64
#define SLO_MAX_CGROUP_DEPTH	16
#define SLO_PATH_MAX		512

/* Run-delay histogram: bucket 0 is < 1 us, then two buckets an octave. */
#define SLO_HIST_BUCKETS	40

/* Fixed-point one CPU, for reservations. */
#define SLO_CPU_SHIFT		20

/* slo_policy.flags */
#define SLO_POLICY_DEADLINE	(1u << 0) /* may use the deadline tier; else fair tier only */
#define SLO_POLICY_LIMITED	(1u << 1) /* it, or an ancestor, has a quota (cpu.max) */
#define SLO_POLICY_IDLE		(1u << 2) /* it, or an ancestor, has cpu.idle: runs when nothing else wants to */

/* slo_policy.parent_slot of a child of the hierarchy's root */
#define SLO_NO_SLOT		0xffffffffu

/* Why a burst waited longer than its budget. Only SCHED and STALL break the promise. */
enum slo_reason {
	SLO_REASON_SCHED = 0,	 /* within its entitlement: the scheduler's fault */
	SLO_REASON_OVER = 1,	 /* the pod had used up its credit */
	SLO_REASON_SHED = 2,	 /* below the importance that the node can serve */
	SLO_REASON_THROTTLE = 3, /* cpu.max */
	SLO_REASON_STALL = 4,	 /* still waiting when the timer looked */
	SLO_NR_REASONS = 5,
};

/*
 * Agent -> kernel, array index = slot. Written through an mmap: one field is one store.
 *
 * Three slots may stand for one task: its own (the cgroup's weight and quota), slo_slot
 * (whose budget counts and where waits and misses are counted: a container without an
 * SLO of its own counts for its pod) and credit_slot (whose credit the deadline tier
 * draws on: a container with its own SLO still draws on its pod's).
 */
struct slo_policy {
	__u64 cgroup_id;	/* 0: the slot is free */
	__u64 budget_ns;	/* 0: accounting only */
	__u64 credit_cap_ns;	/* most CPU time that idle periods can save up */
	__u64 quota_ns;		/* cpu.max: CPU time in each period; 0: no limit */
	__u32 period_us;	/* cpu.max */
	__u32 reserved_cpus;	/* credit refill, CPUs << SLO_CPU_SHIFT */
	__u32 credit_slot;
	__u32 slo_slot;
	__u32 parent_slot;	/* nearest ancestor with a slot, or SLO_NO_SLOT */
	__u32 weight;		/* cpu.weight, 1 .. 10000; 0 counts as 100 */
	__u32 importance;	/* 1 .. 100, higher loses later */
	__u32 flags;		/* SLO_POLICY_* */
};

/* Kernel -> agent, array index = llc * SLO_SLOTS + slot; counters only grow. */
struct slo_stats {
	__u64 bursts;			/* finished wake-to-sleep bursts */
	__u64 misses[SLO_NR_REASONS];	/* bursts that waited longer than the budget */
	__u64 wait_ns;			/* runnable but not running, without throttle wait */
	__u64 ran_ns;			/* own CPU time */
	__u64 throttled_ns;		/* runnable but held back by cpu.max, summed over tasks */
	__u64 periods;			/* cpu.max: periods in which the cgroup was runnable */
	__u64 throttled_periods;	/* cpu.max: those in which the quota ran out */
	__u64 limit_changes;		/* cpu.weight, cpu.max or cpu.idle was written: read them again */
	__u64 events_dropped;		/* miss events lost to the rate limit or a full ring */
	__u64 max_wait_ns;		/* longest wait of one burst since the agent cleared it */
	__u32 hist[SLO_HIST_BUCKETS];	/* one entry a wait (runnable -> running) */
};

/* Ring buffer `miss_events`. */
struct slo_miss_event {
	__u64 at_ns;
	__u64 cgroup_id;	/* of the slot, not of the task */
	__u64 wait_ns;		/* of the burst so far */
	__u64 budget_ns;
	__u64 ran_ns;		/* own CPU time of the burst so far */
	__u32 slot;
	__u32 pid;		/* thread id in the initial pid namespace */
	__u32 cpu;
	__u32 reason;		/* enum slo_reason */
	char comm[16];
};

enum slo_cgroup_change {
	SLO_CGROUP_CREATED = 1,
	SLO_CGROUP_REMOVED = 2,
};

/* Ring buffer `cgroup_events`; path_len bytes of path follow, without a NUL. */
struct slo_cgroup_event {
	__u64 id;		/* kernfs id = inode number of the cgroup v2 directory */
	__u32 change;		/* enum slo_cgroup_change */
	__u32 level;
	__u32 path_len;		/* SLO_PATH_MAX - 1: cut, the agent walks the tree instead */
	__u32 reserved0;
	char path[SLO_PATH_MAX];
};

/* Agent -> kernel, section .data.control */
struct slo_control {
	__u64 heartbeat_ns;	/* older than heartbeat_timeout_ns: every task is fair */
	__u32 generation;	/* bumped after each change of slot_of or policies */
	__u32 reserved0;
};

/* Kernel -> agent, section .data.health */
struct slo_health {
	__u64 events_dropped;	     /* sum over slots, also those already freed */
	__u64 cgroup_events_dropped; /* the agent walks the tree again when this moves */
	__u64 fair_fallbacks;	     /* times that an old heartbeat turned the policy off */
	__u64 preempt_kicks;
	__u64 floor_picks;	     /* dispatches that the fair tier's floor forced */
	__u64 stalls;
	__u64 limit_changes;	     /* sum over slots; while it stands still, no slot's moved */
	__u64 expired_demotions;     /* overdue deadlines that made way for more important work */
	__u64 throttles;	     /* tasks put aside because a quota had run out */
	__u64 rescues;		     /* tasks that waited so long that they were put in front */
};

/* Kernel -> agent, section .data.exit; kind is written last (kernel: enum scx_exit_kind). */
struct slo_exit {
	__u32 kind;
	__u32 reserved0;
	__s64 exit_code;
	char reason[128];
	char msg[1024];
};

/* Kernel -> agent, section .data.dump: what the kernel and ops.dump* wrote when an error ended us. */
#define SLO_EXIT_DUMP_LEN	32768

#endif /* SCX_SLO_ABI_H */

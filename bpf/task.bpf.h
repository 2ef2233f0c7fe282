/* SPDX-License-Identifier: GPL-2.0-only */
/* What the scheduler knows of a task, and of a CPU. */
#ifndef SCX_SLO_TASK_BPF_H
#define SCX_SLO_TASK_BPF_H

#include "slot.bpf.h"
#include "account.bpf.h"
#include "compat.bpf.h"
#include "tunables.bpf.h"

enum tier {
	TIER_NONE = 0,		/* (CPU) idle, or another class runs there */
	TIER_FAIR = 1,
	TIER_DEADLINE = 2,
};

struct task_ctx {
	struct slot_cache cache;
	struct burst burst;
	u64 deadline_ns;
	u64 vtime_ns;		/* key in a fair queue: its group's virtual time and its place in the group */
	u64 base_ns;		/* the group's virtual time in it */
	u64 job_used_ns;	/* CPU time since the deadline was set */
	u64 shed_until_ns;	/* gave way while overdue: not back in the deadline tier before */
	u32 tier;
	u32 counted_slot;	/* the group that has it as runnable; SLO_NO_SLOT: none */
	u32 waker_slot;		/* the group that has it as a waiting waker; SLO_NO_SLOT: none */
	bool demoted;		/* fair for now: its pod is out of credit */
	bool restricted;	/* when it waits, then in a CPU's own queue */
	bool queue_restricted;	/* it is counted in a CPU's waiting, else in an LLC's */
	u32 queue_kind;		/* the queue that counts it, WAIT_*; 0: none */
	u32 queue_at;		/* that queue's CPU or LLC */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} task_ctxs SEC(".maps");

/* How many tasks our queues hold, without asking the kernel for each. Too high for a moment, never too low. */
enum wait_kind {
	WAIT_DEADLINE = 1,
	WAIT_FAIR = 2,
	WAIT_DEMOTED = 3,
	NR_WAIT_KINDS = 4,
};

struct waiting {
	u32 count[NR_WAIT_KINDS];
};

struct waiting waiting_of_llc[SLO_MAX_LLCS];

/* Of all CPUs' own queues: no need to look at the neighbours' when there is none. */
s32 nr_restricted_waiting;

struct cpu_ctx {
	struct waiting waiting;	/* in the CPU's own queues */
	u64 deadline_ns;	/* of the running task, tier deadline */
	u64 protected_until_ns;	/* a floor run: not to be preempted */
	u64 claimed_until_ns;	/* kicked: somebody's task is on its way */
	u64 floor_at_ns;	/* up to when floor_owed_ns is reckoned */
	u64 fair_clock_ns;	/* for work with restricted affinity; 0: nothing fair ran here yet */
	s64 floor_owed_ns;	/* CPU time that this CPU owes to work without an SLO */
	u32 tier;		/* of the running task */
	u32 next_llc;		/* whose fair queue to compare with next */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} cpu_ctxs SEC(".maps");

static __always_inline struct task_ctx *ctx_of(struct task_struct *p)
{
	return bpf_task_storage_get(&task_ctxs, p, NULL, 0);
}

static __always_inline struct cpu_ctx *cpu_ctx_of(s32 cpu)
{
	u32 zero = 0;

	return bpf_map_lookup_percpu_elem(&cpu_ctxs, &zero, cpu);
}

static __always_inline void add_waiting(u32 kind, bool of_cpu, u32 at, s32 tasks)
{
	struct cpu_ctx *cpuc;

	if (!of_cpu) {
		__sync_fetch_and_add(&waiting_of_llc[MASKED(at, SLO_MAX_LLCS)].count[MASKED(kind, NR_WAIT_KINDS)],
				     tasks);
		return;
	}
	__sync_fetch_and_add(&nr_restricted_waiting, tasks);
	cpuc = cpu_ctx_of(at);
	if (cpuc)
		__sync_fetch_and_add(&cpuc->waiting.count[MASKED(kind, NR_WAIT_KINDS)], tasks);
}

static __always_inline u32 llc_waiting(u32 llc, u32 kind)
{
	return READ_ONCE(waiting_of_llc[MASKED(llc, SLO_MAX_LLCS)].count[kind]);
}

/* Counted at load; a CPU that comes or goes ends the scheduler and the agent loads it anew. */
u32 nr_online_cpus;

/* May run on fewer CPUs than the node has: such a task never waits in a shared queue. */
static __always_inline bool is_restricted(const struct task_struct *p)
{
	return p->nr_cpus_allowed < (int)nr_online_cpus || task_pinned_by_kernel(p);
}

static __always_inline bool is_agent(const struct task_struct *p)
{
	return agent_tgid && p->tgid == (s32)agent_tgid;
}

static __always_inline bool is_kthread(const struct task_struct *p)
{
	return p->flags & PF_KTHREAD;
}

#endif /* SCX_SLO_TASK_BPF_H */

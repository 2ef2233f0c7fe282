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
	bool demoted;		/* fair for now: its pod is out of credit */
	bool restricted;	/* when it waits, then in a CPU's own queue */
	u64 counted;		/* what counts it as waiting, see waiting.bpf.h; 0: nothing */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} task_ctxs SEC(".maps");

/* How many tasks wait in a place's queues; see waiting.bpf.h. */
struct waiting {
	u32 slo;		/* with a deadline, or demoted */
	u32 fair;
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

static __always_inline struct waiting *waiting_in(u32 llc)
{
	return &waiting_of_llc[MASKED(llc, SLO_MAX_LLCS)];
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

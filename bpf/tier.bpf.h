/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which tier a task belongs to now, and its key there.
 *
 * Deadline tier: earliest deadline first, deadline = wake-up + budget, postponed by a
 * budget for each quantum of CPU time used (CBS), so that an expired deadline of a
 * long job does not outrank fresh work. Fair tier: weighted virtual time.
 * Importance changes neither; it decides reservations (agent) and who sheds.
 */
#ifndef SCX_SLO_TIER_BPF_H
#define SCX_SLO_TIER_BPF_H

#include "task.bpf.h"
#include "credit.bpf.h"
#include "tunables.bpf.h"

#define NICE_0_WEIGHT	100

/* Fair clock of each LLC: the largest virtual time that was given a CPU. */
u64 fair_clock_ns[SLO_MAX_LLCS];

static __always_inline u64 fair_clock(u32 llc)
{
	return READ_ONCE(fair_clock_ns[MASKED(llc, SLO_MAX_LLCS)]);
}

/* Not at 0, so that a lag below the clock never wraps. */
static __always_inline void start_fair_clocks(void)
{
	int llc;

	bpf_for(llc, 0, nr_llcs)
		fair_clock_ns[MASKED(llc, SLO_MAX_LLCS)] = NSEC_PER_SEC;
}

static __always_inline void advance_fair_clock(u32 llc, u64 vtime_ns)
{
	u64 *clock_ns = &fair_clock_ns[MASKED(llc, SLO_MAX_LLCS)];

	if ((s64)(vtime_ns - READ_ONCE(*clock_ns)) > 0)
		WRITE_ONCE(*clock_ns, vtime_ns);
}

static __always_inline bool heartbeat_is_fresh(u64 now)
{
	u64 beat = READ_ONCE(control.heartbeat_ns);

	return now < beat || now - beat < heartbeat_timeout_ns;
}

static __always_inline bool is_agent(struct task_struct *p)
{
	return agent_tgid && p->tgid == (s32)agent_tgid;
}

static __always_inline bool is_exempt_from_credit(struct task_struct *p)
{
	return is_kthread(p) || is_agent(p);
}

/* What a task may ask for: 0 is fair work, else its relative deadline. */
static __always_inline u64 relative_deadline(struct task_struct *p, u32 slot, struct slo_policy *policy, u64 now)
{
	if (is_kthread(p))
		return kthread_deadline_ns;
	if (slot == SLO_SLOT_SYSTEM || is_agent(p))
		return system_deadline_ns;
	if (!(policy->flags & SLO_POLICY_DEADLINE) || !heartbeat_is_fresh(now))
		return 0;
	return policy->budget_ns;
}


/* Keep a fair task within [clock - lag, clock + debt] of the LLC it queues on. */
static __always_inline void place_fairly(struct task_ctx *task, u32 llc)
{
	u64 clock_ns = fair_clock(llc);

	if (task->llc != llc) {
		task->vtime_ns += clock_ns - fair_clock(task->llc);
		task->llc = llc;
	}
	if ((s64)(task->vtime_ns - (clock_ns - fair_lag_ns)) < 0)
		task->vtime_ns = clock_ns - fair_lag_ns;
	else if ((s64)(task->vtime_ns - (clock_ns + fair_debt_ns)) > 0)
		task->vtime_ns = clock_ns + fair_debt_ns;
}

/* Postpone the deadline by a budget for each quantum of CPU time used since it was set (CBS). */
static __always_inline void set_deadline(struct task_ctx *task, u64 relative_ns, struct reservation *r, u64 now)
{
	u64 quantum_ns = relative_ns * r->cpus_fp >> SLO_CPU_SHIFT;

	if (quantum_ns < tick_ns)
		quantum_ns = tick_ns;
	if (!task->deadline_ns || task->job_used_ns >= quantum_ns) {
		task->job_used_ns = 0;
		task->deadline_ns = (task->deadline_ns > now ? task->deadline_ns : now) + relative_ns;
	}
}

/*
 * Decide the tier and the key. `fresh`: the task just woke, so its deadline starts
 * now. Sets burst.out_of_credit, which blames later misses on the pod's own use.
 */
static __always_inline void choose_tier(struct task_struct *p, struct task_ctx *task, u32 slot,
					struct slo_policy *policy, u32 llc, bool fresh, u64 now)
{
	u64 relative_ns = relative_deadline(p, slot, policy, now);
	struct reservation r;

	task->tier = TIER_FAIR;
	task->demoted = false;
	place_fairly(task, llc);
	if (!relative_ns)
		return;

	reservation_of(policy, slot, &r);
	if (!is_exempt_from_credit(p) && credit_of(&r, now) <= 0) {
		task->burst.out_of_credit = true;
		task->demoted = true;
		return;
	}
	task->tier = TIER_DEADLINE;
	if (fresh)
		task->deadline_ns = 0;
	set_deadline(task, relative_ns, &r, now);
}

/* Account CPU time used since the last call, in the tier in which it was used. */
static __always_inline void charge(struct task_struct *p, struct task_ctx *task, struct account *at,
				   struct cpu_ctx *cpuc)
{
	u64 used_ns = burst_charge(p, &task->burst, at->policy, at->st);
	u32 weight = p->scx.weight ?: NICE_0_WEIGHT;
	struct reservation r;

	if (!used_ns)
		return;
	task->job_used_ns += used_ns;
	task->vtime_ns += used_ns * NICE_0_WEIGHT / weight;
	if (task->tier == TIER_DEADLINE) {
		reservation_of(at->policy, at->slot, &r);
		credit_draw(&r, used_ns);
	} else {
		cpuc->floor_used_ns += used_ns;
	}
}

#endif /* SCX_SLO_TIER_BPF_H */

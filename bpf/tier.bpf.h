/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which tier a task belongs to now, and its key there.
 *
 * Deadline tier: earliest deadline first, deadline = wake-up + budget, postponed by a
 * budget for each quantum of CPU time used (CBS), and by as much as its pod is ahead of
 * its reservation. Fair tier: the group's virtual time.
 * Importance changes neither; it decides reservations (agent) and who gives way.
 */
#ifndef SCX_SLO_TIER_BPF_H
#define SCX_SLO_TIER_BPF_H

#include "task.bpf.h"
#include "queue.bpf.h"
#include "group.bpf.h"
#include "credit.bpf.h"
#include "quota.bpf.h"

#define NICE_0_WEIGHT	100

/* The agent is silent: its policy may be stale, and pods are fair work. Set by the watch. */
bool policy_is_off;

static __always_inline bool is_exempt_from_credit(struct task_struct *p)
{
	return is_kthread(p) || is_agent(p);
}

/* What a task may ask for: 0 is fair work, else its relative deadline. */
static __always_inline u64 relative_deadline(struct task_struct *p, struct account *at)
{
	if (is_kthread(p))
		return kthread_deadline_ns;
	if (is_agent(p))
		return agent_deadline_ns;
	if (at->slot == SLO_SLOT_SYSTEM)
		return system_deadline_ns;
	if (!(at->slo->flags & SLO_POLICY_DEADLINE) || policy_is_off)
		return 0;
	return at->slo->budget_ns;
}

/* How long a slice lasts that began at a tick: slices end at ticks. */
static __always_inline u64 whole_ticks(u64 slice_ns)
{
	return (slice_ns + tick_ns - 1) / tick_ns * tick_ns;
}

/*
 * The key in a fair queue: the group's virtual time, and behind it a place for each of its
 * tasks, so that the group's threads spread over its share instead of using it up in one
 * go. A task that just woke stands behind other wakers only; nice moves it within the group.
 */
static __always_inline void place_fairly(struct task_struct *p, struct task_ctx *task, struct account *at,
					 s32 cpu, u64 slice_ns, bool woke, u64 now)
{
	struct cpu_ctx *cpuc = task->restricted ? cpu_ctx_of(cpu) : NULL;
	struct group *group = group_of(at->slot);
	u32 weight = p->scx.weight ?: NICE_0_WEIGHT;
	u64 clock_ns = cpuc ? cpuc->fair_clock_ns : 0;
	u32 share;
	s64 ahead;

	if (!group)
		return;
	if (!clock_ns)
		clock_ns = READ_ONCE(fair_clock_ns);
	share = share_of(group, at->slot, now);
	ahead = woke ? READ_ONCE(group->nr_wakers) : READ_ONCE(group->nr_runnable) - 1;
	if (ahead < 0)
		ahead = 0;
	if (ahead > 4096)
		ahead = 4096;
	task->base_ns = group_vtime(group, at->policy, share, clock_ns);
	task->vtime_ns = task->base_ns + over_share(whole_ticks(slice_ns), share) * ahead * NICE_0_WEIGHT / weight;
	if (task->vtime_ns > clock_ns + farthest_ns())
		task->vtime_ns = clock_ns + farthest_ns();
	if (at->policy->flags & SLO_POLICY_IDLE)
		task->vtime_ns += idle_group_delay_ns * nr_online_cpus;
}

/* Postpone the deadline by a budget for each quantum of CPU time used since it was set (CBS). */
static __always_inline void set_deadline(struct task_ctx *task, u64 relative_ns, struct reservation *r,
					 u64 greed_ns, u64 now)
{
	u64 quantum_ns = relative_ns * r->cpus_fp >> SLO_CPU_SHIFT;

	if (quantum_ns < tick_ns)
		quantum_ns = tick_ns;
	if (!task->deadline_ns || task->job_used_ns >= quantum_ns) {
		task->job_used_ns = 0;
		task->deadline_ns = (task->deadline_ns > now ? task->deadline_ns : now) + relative_ns;
	}
	/* at least as late as a wake-up of this moment would be */
	if (greed_ns && task->deadline_ns < now + relative_ns + greed_ns)
		task->deadline_ns = now + relative_ns + greed_ns;
}

/*
 * Deadline and tier for a task that may ask for one; false: it has no credit. `fresh`: the
 * task just woke, so its deadline starts now.
 */
static __always_inline bool enter_deadline_tier(struct task_struct *p, struct task_ctx *task, struct account *at,
						u64 relative_ns, bool fresh, u64 now)
{
	bool exempt = is_exempt_from_credit(p);
	struct reservation r;
	u64 greed_ns = 0;
	s64 credit_ns;

	if (now < task->shed_until_ns)
		return false;
	reservation_of(at->slo, at->slo_slot, &r);
	if (!exempt) {
		credit_ns = credit_of(&r, now);
		if (credit_ns <= 0) {
			task->burst.out_of_credit = true;
			return false;
		}
		greed_ns = ahead_of_reservation(&r, credit_ns);
	}
	if (fresh)
		task->deadline_ns = 0;
	set_deadline(task, relative_ns, &r, greed_ns, now);
	return true;
}

/* Decide the tier and the key; `cpu`: whose queue it joins if it is restricted. */
static __always_inline void choose_tier(struct task_struct *p, struct task_ctx *task, struct account *at,
					s32 cpu, u64 slice_ns, bool fresh, u64 now)
{
	u64 relative_ns = relative_deadline(p, at);

	task->demoted = false;
	if (relative_ns) {
		if (enter_deadline_tier(p, task, at, relative_ns, fresh, now)) {
			task->tier = TIER_DEADLINE;
			return;
		}
		task->demoted = true;
	}
	task->tier = TIER_FAIR;
	place_fairly(p, task, at, cpu, slice_ns, fresh, now);
}

/* The running task as a competitor of the queues: no place behind itself. */
static __always_inline void keep_place(struct task_struct *p, struct task_ctx *task, struct account *at, s32 cpu,
				       u64 now)
{
	choose_tier(p, task, at, cpu, 0, false, now);
}

/* Account CPU time used since the last call, in the tier in which it was used. */
static __always_inline void charge(struct task_struct *p, struct task_ctx *task, struct account *at,
				   struct cpu_ctx *cpuc, u32 llc, u64 now)
{
	u64 used_ns = burst_charge(p, &task->burst, at->slo, at->st);
	struct group *group = group_of(at->slot);
	struct reservation r;

	if (!used_ns || !group)
		return;
	task->job_used_ns += used_ns;
	group_charge(group, at->slot, used_ns, now);
	if (is_limited(p, at->policy))
		charge_quotas(at->slot, llc, used_ns, now);
	if (task->tier == TIER_DEADLINE) {
		/* kernel threads are system work by their slot: what they use is not the daemons' */
		if (is_exempt_from_credit(p))
			return;
		reservation_of(at->slo, at->slo_slot, &r);
		credit_draw(&r, used_ns);
	} else if (!task->demoted) {
		cpuc->floor_owed_ns -= used_ns;
	}
}

/* The group that counts this task as runnable: moved along when the task's slot changed. */
static __always_inline void count_in(struct task_ctx *task, u32 slot)
{
	if (task->counted_slot == slot)
		return;
	if (task->counted_slot != SLO_NO_SLOT)
		group_leaves(task->counted_slot);
	task->counted_slot = slot;
	group_enters(slot);
}

static __always_inline void count_out(struct task_ctx *task)
{
	if (task->counted_slot != SLO_NO_SLOT)
		group_leaves(task->counted_slot);
	task->counted_slot = SLO_NO_SLOT;
}

/* The queue of its tier: the LLC's, or the CPU's own if it is restricted. */
static __always_inline u64 queue_of(const struct task_ctx *task, u32 llc, s32 cpu)
{
	u64 kind = task->tier == TIER_DEADLINE ? DSQ_DEADLINE : task->demoted ? DSQ_DEMOTED : DSQ_FAIR;

	return task->restricted ? CPU_DSQ(kind, (u64)cpu) : LLC_DSQ(kind, (u64)llc);
}

#endif /* SCX_SLO_TIER_BPF_H */

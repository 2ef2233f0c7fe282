/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cpu.max. A cgroup with a quota gets quota_ns in each period; what it used beyond that,
 * for it is stopped at ticks, is owed to the next periods, so that the long run is exact.
 * Its tasks then wait in a throttled queue, ordered by when their cgroup's next period
 * begins, until the quota timer lets them go. Every ancestor's quota counts.
 *
 * The kernel's own cpu.stat stays at zero under sched_ext; periods, throttled periods and
 * held-back time are in slo_stats.
 */
#ifndef SCX_SLO_QUOTA_BPF_H
#define SCX_SLO_QUOTA_BPF_H

#include "group.bpf.h"
#include "task.bpf.h"

/* Tasks were put aside since this time: the timer must be exact. */
u64 last_throttle_ns;

static __always_inline u64 period_of(struct slo_policy *policy)
{
	return policy->period_us ? policy->period_us * NSEC_PER_USEC : 100 * NSEC_PER_MSEC;
}

/* Begins the period that `now` is in, if that has not been done. Leftovers of old periods are lost, debt is not. */
static __always_inline void begin_period(struct group *group, struct slo_policy *policy, struct slo_stats *st,
					 u64 now)
{
	u64 from_ns = READ_ONCE(group->period_from_ns);
	u64 period_ns = period_of(policy);
	u64 passed;
	s64 left_ns, refilled_ns;

	if (group->quota_of != policy->cgroup_id) {
		group->quota_of = policy->cgroup_id;
		WRITE_ONCE(group->period_from_ns, 0);
		from_ns = 0;
	}
	if (!from_ns) {
		if (!__sync_val_compare_and_swap(&group->period_from_ns, 0, now))
			group->quota_left_ns = policy->quota_ns;
		return;
	}
	if (now < from_ns || now - from_ns < period_ns)
		return;
	passed = (now - from_ns) / period_ns;
	if (__sync_val_compare_and_swap(&group->period_from_ns, from_ns, from_ns + passed * period_ns) != from_ns)
		return;
	/* after a long quiet time only one period's quota is there; it also keeps the product small */
	if (passed > 1024)
		passed = 1024;
	left_ns = READ_ONCE(group->quota_left_ns);
	refilled_ns = left_ns + (s64)(passed * policy->quota_ns);
	if (refilled_ns > (s64)policy->quota_ns)
		refilled_ns = policy->quota_ns;
	__sync_fetch_and_add(&group->quota_left_ns, refilled_ns - left_ns);
	__sync_fetch_and_add(&st->periods, 1);
}

/* When one cgroup may run again; 0: now. */
static __always_inline u64 out_of_quota_until(u32 slot, struct slo_policy *policy, struct slo_stats *st, u64 now)
{
	struct group *group = group_of(slot);
	u64 from_ns, counted_ns;

	if (!group)
		return 0;
	begin_period(group, policy, st, now);
	if (READ_ONCE(group->quota_left_ns) > 0)
		return 0;
	from_ns = READ_ONCE(group->period_from_ns);
	/* once a period; another CPU may still see the last one */
	counted_ns = READ_ONCE(group->throttled_from_ns);
	if (counted_ns < from_ns &&
	    __sync_val_compare_and_swap(&group->throttled_from_ns, counted_ns, from_ns) == counted_ns)
		__sync_fetch_and_add(&st->throttled_periods, 1);
	return from_ns + period_of(policy);
}

/* When a task of the slot may run again, by every quota above it; 0: now. */
__noinline u64 throttled_until(u32 slot, u32 llc, u64 now)
{
	u64 until_ns = 0, one_ns;
	int level;

	bpf_for(level, 0, GROUP_LEVELS) {
		struct slo_policy *policy = policy_of(slot);
		struct slo_stats *st = stats_of(slot, llc);

		if (!policy || !st)
			break;
		if (policy->quota_ns) {
			one_ns = out_of_quota_until(slot, policy, st, now);
			if (one_ns > until_ns)
				until_ns = one_ns;
		}
		if (policy->parent_slot >= SLO_SLOTS)
			break;
		slot = policy->parent_slot;
	}
	return until_ns;
}

__noinline int charge_quotas(u32 slot, u32 llc, u64 used_ns, u64 now)
{
	int level;

	bpf_for(level, 0, GROUP_LEVELS) {
		struct slo_policy *policy = policy_of(slot);
		struct group *group = group_of(slot);
		struct slo_stats *st = stats_of(slot, llc);

		if (!policy || !group || !st)
			break;
		if (policy->quota_ns) {
			begin_period(group, policy, st, now);
			__sync_fetch_and_sub(&group->quota_left_ns, used_ns);
		}
		if (policy->parent_slot >= SLO_SLOTS)
			break;
		slot = policy->parent_slot;
	}
	return 0;
}

/* Its process was killed or ends: it needs a CPU to go, and frees more than it uses. */
static __always_inline bool is_ending(struct task_struct *p)
{
	return (p->flags & PF_EXITING) || (BPF_CORE_READ(p, signal, flags) & SIGNAL_GROUP_EXIT);
}

/* Kernel threads and the agent have no limits. */
static __always_inline bool is_limited(struct task_struct *p, struct slo_policy *policy)
{
	return (policy->flags & SLO_POLICY_LIMITED) && !is_kthread(p) && !is_agent(p) && !is_ending(p);
}

static __always_inline u64 held_back_until(struct task_struct *p, struct account *at, u32 llc, u64 now)
{
	return is_limited(p, at->policy) ? throttled_until(at->slot, llc, now) : 0;
}

#endif /* SCX_SLO_QUOTA_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The timer: reports tasks that have waited past their budget and still do (a task
 * that never runs would otherwise never be counted), and notices an agent that hangs.
 */
#ifndef SCX_SLO_WATCH_BPF_H
#define SCX_SLO_WATCH_BPF_H

#include "queue.bpf.h"
#include "task.bpf.h"
#include "tier.bpf.h"

#define WATCH_DEPTH	32	/* tasks looked at per queue: the head has waited longest */

struct watch {
	struct bpf_timer timer;
	bool policy_was_off;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct watch);
} watches SEC(".maps");

static __noinline int report_if_stalled(s32 pid, u32 llc, u64 now)
{
	struct task_struct *p = bpf_task_from_pid(pid);
	struct slo_policy *policy;
	struct slo_stats *st;
	struct task_ctx *task;
	u64 since, waited_ns;

	if (!p)
		return 0;
	task = ctx_of(p);
	if (!task)
		goto out;
	policy = policy_of(task->cache.slot);
	st = stats_of(task->cache.slot, llc);
	since = task->burst.wait_since_ns;
	if (!policy || !st || !policy->budget_ns || !since || now < since || task->burst.missed)
		goto out;
	waited_ns = task->burst.wait_ns + now - since;
	if (waited_ns > policy->budget_ns) {
		u32 reason = task->burst.out_of_credit ? SLO_REASON_OVER : SLO_REASON_STALL;

		__sync_fetch_and_add(&health.stalls, 1);
		report_miss(p, &task->burst, task->cache.slot, policy, st, waited_ns, reason, now);
	}
out:
	bpf_task_release(p);
	return 0;
}

static __noinline void find_stalls(u64 dsq_id, u32 llc, u64 now)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	int i;

	if (scx_bpf_dsq_nr_queued(dsq_id) <= 0)
		return;
	bpf_iter_scx_dsq_new(&it, dsq_id, 0);
	bpf_for(i, 0, WATCH_DEPTH) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p)
			break;
		report_if_stalled(p->pid, llc, now);
	}
	bpf_iter_scx_dsq_destroy(&it);
}

static int look(void *map, u32 *key, struct watch *watch)
{
	u64 now = bpf_ktime_get_ns();
	bool off = !heartbeat_is_fresh(now);
	int i;

	if (off && !watch->policy_was_off)
		__sync_fetch_and_add(&health.fair_fallbacks, 1);
	watch->policy_was_off = off;

	/* Until 6.17 or so the verifier takes this callback for sleepable, like init that sets it. */
	bpf_rcu_read_lock();
	bpf_for(i, 0, nr_llcs) {
		find_stalls(LLC_DSQ(DSQ_DEADLINE, i), i, now);
		find_stalls(LLC_DSQ(DSQ_FAIR, i), i, now);
		find_stalls(LLC_DSQ(DSQ_DEMOTED, i), i, now);
	}
	bpf_rcu_read_unlock();
	bpf_timer_start(&watch->timer, watch_interval_ns, 0);
	return 0;
}

static __always_inline s32 start_watch(void)
{
	u32 zero = 0;
	struct watch *watch = bpf_map_lookup_elem(&watches, &zero);
	s32 err;

	if (!watch)
		return -1;
	err = bpf_timer_init(&watch->timer, &watches, 1 /* CLOCK_MONOTONIC */);
	if (err)
		return err;
	bpf_timer_set_callback(&watch->timer, look);
	return bpf_timer_start(&watch->timer, watch_interval_ns, 0);
}

#endif /* SCX_SLO_WATCH_BPF_H */

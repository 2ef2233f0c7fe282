/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The watch: reports tasks that have waited past their budget and still do (a task that
 * never runs would otherwise never be counted), rescues who waits far too long, settles
 * which groups are active, and notices an agent that hangs.
 */
#ifndef SCX_SLO_WATCH_BPF_H
#define SCX_SLO_WATCH_BPF_H

#include "queue.bpf.h"
#include "task.bpf.h"
#include "tier.bpf.h"
#include "promote.bpf.h"
#include "pick.bpf.h"

#define WATCH_DEPTH	32		/* tasks looked at per end of a queue */
#define RESCUED		1ULL		/* a key in front of all others */
#define FLOOR_SHARE_MOST 512		/* half of a CPU */

struct watch {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct watch);
} watches SEC(".maps");

/* The longest that a fair task was found waiting in this round. */
u64 longest_wait_ns;

/* Reports a broken promise; says how long the task has been waiting. */
static __noinline u64 look_at_waiter(s32 pid, u32 llc, u64 now)
{
	struct task_struct *p = bpf_task_from_pid(pid);
	u64 since, waited_ns = 0, burst_ns;
	struct task_ctx *task;
	struct account at;

	if (!p)
		return 0;
	task = ctx_of(p);
	if (!task || !account_of_queued(task, llc, &at))
		goto out;
	since = task->burst.wait_since_ns;
	if (!since || now < since)
		goto out;
	waited_ns = now - since;
	burst_ns = task->burst.wait_ns + waited_ns;
	if (at.slo->budget_ns && !task->burst.missed && burst_ns > at.slo->budget_ns) {
		__sync_fetch_and_add(&health.stalls, 1);
		report_miss(p, &task->burst, at.slo_slot, at.slo, at.st, burst_ns,
			    blame(&task->burst, SLO_REASON_STALL), now);
	}
out:
	bpf_task_release(p);
	return waited_ns;
}

/* `from`: 0 the head, who goes next, or SCX_DSQ_ITER_REV the tail, where starving tasks would be. */
__noinline int look_through(u64 dsq_id, u32 llc, u64 from, u64 now)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 waited_ns;
	int i;

	if (scx_bpf_dsq_nr_queued(dsq_id) <= 0)
		return 0;
	/* until 6.17 or so the verifier takes a timer's callback for sleepable, like init that sets it */
	bpf_rcu_read_lock();
	bpf_iter_scx_dsq_new(&it, dsq_id, from);
	bpf_for(i, 0, WATCH_DEPTH) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p)
			break;
		waited_ns = look_at_waiter(p->pid, llc, now);
		if (waited_ns > longest_wait_ns)
			longest_wait_ns = waited_ns;
		if (waited_ns > rescue_ns && p->scx.dsq_vtime > RESCUED) {
			dsq_move_vtime(&it, p, dsq_id, tick_ns, RESCUED);
			__sync_fetch_and_add(&health.rescues, 1);
		}
	}
	bpf_iter_scx_dsq_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

/* Who waits very long waits for lack of CPU time: the floor of fair work rises until that is over. */
static __always_inline void raise_floor(void)
{
	u32 share = floor_share;

	if (longest_wait_ns > rescue_ns)
		share *= 2;
	if (longest_wait_ns > 2 * rescue_ns)
		share *= 2;
	floor_share_now = share < FLOOR_SHARE_MOST ? share : FLOOR_SHARE_MOST;
	longest_wait_ns = 0;
}

static int look(void *map, u32 *key, struct watch *watch)
{
	u64 beat = READ_ONCE(control.heartbeat_ns), agent_now = bpf_ktime_get_ns();
	bool off = agent_now > beat && agent_now - beat >= heartbeat_timeout_ns;
	u64 now = sched_now();
	int i;

	if (off && !policy_is_off)
		__sync_fetch_and_add(&health.fair_fallbacks, 1);
	policy_is_off = off;

	bpf_for(i, 0, nr_llcs) {
		look_through(LLC_DSQ(DSQ_DEADLINE, i), i, 0, now);
		look_through(LLC_DSQ(DSQ_FAIR, i), i, 0, now);
		look_through(LLC_DSQ(DSQ_FAIR, i), i, SCX_DSQ_ITER_REV, now);
		look_through(LLC_DSQ(DSQ_DEMOTED, i), i, 0, now);
	}
	/* most nodes never have any: nothing to ask of each CPU's queues */
	bpf_for(i, 0, READ_ONCE(nr_restricted_waiting) ? nr_cpus : 0) {
		look_through(CPU_DSQ(DSQ_DEADLINE, i), llc_of(i), 0, now);
		look_through(CPU_DSQ(DSQ_FAIR, i), llc_of(i), SCX_DSQ_ITER_REV, now);
	}
	raise_floor();
	settle_groups(now);
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

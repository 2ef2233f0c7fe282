/* SPDX-License-Identifier: GPL-2.0-only */
/* The quota timer: lets go what cpu.max held back, when its cgroup's next period begins. */
#ifndef SCX_SLO_RELEASE_BPF_H
#define SCX_SLO_RELEASE_BPF_H

#include "queue.bpf.h"
#include "tier.bpf.h"
#include "waiting.bpf.h"
#include "promote.bpf.h"
#include "preempt.bpf.h"

#define RELEASE_BATCH	256	/* tasks of one LLC in one go; the rest after quota_min_ns */
#define EXACT_FOR_NS	NSEC_PER_SEC	/* after the last throttling the timer stays quick for this long */

struct quota_timer {
	struct bpf_timer timer;
	u64 killed_at_ns;	/* last looked for killed tasks */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct quota_timer);
} quota_timers SEC(".maps");

/* Where a task goes now. */
struct placement {
	u64 dsq_id;
	u64 key;
	u64 slice_ns;
	s32 cpu;
	s32 idle_cpu;		/* claimed for it; -1: none */
	u64 token;		/* what counts it there; 0: nothing */
	bool deadline;
	bool restricted;
};

__noinline int placement_of(s32 pid, u32 llc, u64 now, struct placement *to)
{
	struct task_struct *p;
	struct task_ctx *task;
	struct account at;
	u64 until_ns;
	bool found = false;

	if (!to)
		return 0;
	to->token = 0;
	bpf_rcu_read_lock();
	p = bpf_task_from_pid(pid);
	if (!p)
		goto out;
	task = ctx_of(p);
	if (!task || READ_ONCE(task->counted) || !account_of_queued(task, llc, &at))
		goto out;
	to->cpu = scx_bpf_task_cpu(p);
	until_ns = held_back_until(p, &at, llc, now);
	if (until_ns) {
		to->dsq_id = LLC_DSQ(DSQ_THROTTLED, llc);
		to->key = until_ns;
		to->slice_ns = tick_ns;
		to->deadline = false;
		found = true;
		goto out;
	}
	to->slice_ns = tick_ns;
	choose_tier(p, task, &at, to->cpu, to->slice_ns, true, now);
	to->deadline = task->tier == TIER_DEADLINE;
	to->restricted = task->restricted;
	to->token = token_for(task, llc, to->cpu, at.slot, true, now);
	if (!joins_from_outside(task, to->token))
		goto out;
	found = true;
	burst_throttle_ends(&task->burst, at.st, now);
	burst_wait_begins(&task->burst, now);
	to->dsq_id = queue_of(task, llc, to->cpu);
	to->key = to->deadline ? task->deadline_ns : task->vtime_ns;
	if (task->restricted)
		to->idle_cpu = scx_bpf_test_and_clear_cpu_idle(to->cpu) ? to->cpu : -1;
	else
		to->idle_cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
out:
	if (p)
		bpf_task_release(p);
	bpf_rcu_read_unlock();
	return found;
}

/* It was no longer there to be moved. */
__noinline int not_moved(s32 pid, u64 token)
{
	struct task_struct *p;
	struct task_ctx *task;

	bpf_rcu_read_lock();
	p = bpf_task_from_pid(pid);
	if (p) {
		task = ctx_of(p);
		if (task)
			taken_back(task, token);
		bpf_task_release(p);
	}
	bpf_rcu_read_unlock();
	return 0;
}

/*
 * Returns when the first of those that stay may go; 0: none stays. `killed`: also look among
 * those that must stay for tasks that were killed, who would not notice here.
 */
__noinline u64 release_due(u32 llc, bool killed, u64 now)
{
	struct placement to = {};
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 next_ns = 0, key;
	int i;

	if (scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_THROTTLED, llc)) <= 0)
		return 0;
	/* until 6.17 or so the verifier takes a timer's callback for sleepable, like init that sets it */
	bpf_rcu_read_lock();
	bpf_iter_scx_dsq_new(&it, LLC_DSQ(DSQ_THROTTLED, llc), 0);
	bpf_for(i, 0, RELEASE_BATCH) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p)
			break;
		key = p->scx.dsq_vtime;
		if (!next_ns || next_ns <= now)
			next_ns = key;
		if (key > now && !killed)
			break;
		if (!placement_of(p->pid, llc, now, &to) ||
		    (key > now && to.dsq_id == LLC_DSQ(DSQ_THROTTLED, llc)))
			continue;
		if (!dsq_move_vtime(&it, p, to.dsq_id, to.slice_ns, to.key)) {
			if (to.token)
				not_moved(p->pid, to.token);
			continue;
		}
		/* an idle CPU sleeps through what a timer queues; a busy one may run something less urgent */
		if (to.dsq_id == LLC_DSQ(DSQ_THROTTLED, llc))
			continue;
		if (to.idle_cpu >= 0)
			scx_bpf_kick_cpu(to.idle_cpu, KICK_IDLE);
		else if (to.deadline)
			preempt_for(to.key, llc, to.cpu, to.restricted ? to.cpu : -1, now);
	}
	bpf_iter_scx_dsq_destroy(&it);
	bpf_rcu_read_unlock();
	return next_ns;
}

static int let_go(void *map, u32 *key, struct quota_timer *quota)
{
	u64 now = sched_now();
	u64 pause_ns = watch_interval_ns;
	bool killed = now - quota->killed_at_ns >= watch_interval_ns;
	u64 next_ns;
	int llc;

	if (killed)
		quota->killed_at_ns = now;

	if (now - READ_ONCE(last_throttle_ns) < EXACT_FOR_NS)
		pause_ns = quota_max_ns;
	bpf_for(llc, 0, nr_llcs) {
		next_ns = release_due(llc, killed, now);
		if (!next_ns)
			continue;
		if (next_ns < now + quota_min_ns)
			pause_ns = quota_min_ns;
		else if (next_ns - now < pause_ns)
			pause_ns = next_ns - now;
	}
	bpf_timer_start(&quota->timer, pause_ns, 0);
	return 0;
}

static __always_inline s32 start_quota_timer(void)
{
	u32 zero = 0;
	struct quota_timer *quota = bpf_map_lookup_elem(&quota_timers, &zero);
	s32 err;

	if (!quota)
		return -1;
	err = bpf_timer_init(&quota->timer, &quota_timers, 1 /* CLOCK_MONOTONIC */);
	if (err)
		return err;
	bpf_timer_set_callback(&quota->timer, let_go);
	return bpf_timer_start(&quota->timer, watch_interval_ns, 0);
}

#endif /* SCX_SLO_RELEASE_BPF_H */

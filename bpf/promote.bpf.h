/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Demoted tasks go back to the deadline queue when their pod has credit again.
 * Without this, one that waits behind many fair tasks would sit there for seconds
 * with a full purse.
 */
#ifndef SCX_SLO_PROMOTE_BPF_H
#define SCX_SLO_PROMOTE_BPF_H

#include "queue.bpf.h"
#include "tier.bpf.h"

#define PROMOTE_DEPTH	4	/* looked at per pick; demoted tasks are few, they belong to pods with an SLO */

/* Enough credit to run for a tick? Then the task's new deadline, else 0. */
static __noinline u64 promotion_deadline(s32 pid, u64 now)
{
	struct task_struct *p = bpf_task_from_pid(pid);
	struct slo_policy *policy;
	struct reservation r;
	struct task_ctx *task;
	u64 deadline_ns = 0;
	u64 relative_ns;

	if (!p)
		return 0;
	task = ctx_of(p);
	if (!task)
		goto out;
	policy = policy_of(task->cache.slot);
	if (!policy)
		goto out;
	relative_ns = relative_deadline(p, task->cache.slot, policy, now);
	reservation_of(policy, task->cache.slot, &r);
	if (!relative_ns || credit_of(&r, now) < (s64)tick_ns)
		goto out;
	set_deadline(task, relative_ns, &r, now);
	task->tier = TIER_DEADLINE;
	deadline_ns = task->deadline_ns;
out:
	bpf_task_release(p);
	return deadline_ns;
}

static __noinline void promote(u64 demoted_dsq, u64 deadline_dsq, u64 now)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 deadline_ns;
	int i;

	if (scx_bpf_dsq_nr_queued(demoted_dsq) <= 0)
		return;
	bpf_iter_scx_dsq_new(&it, demoted_dsq, 0);
	bpf_for(i, 0, PROMOTE_DEPTH) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p)
			break;
		deadline_ns = promotion_deadline(p->pid, now);
		if (deadline_ns)
			dsq_move_vtime(&it, p, deadline_dsq, deadline_slice_ns, deadline_ns);
	}
	bpf_iter_scx_dsq_destroy(&it);
}

#endif /* SCX_SLO_PROMOTE_BPF_H */

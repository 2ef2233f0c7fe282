/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moves between the deadline and the demoted queue while tasks wait. Back, when their pod
 * has credit again: one that waits behind many fair tasks would sit there for seconds with
 * a full purse. And away, when a deadline is overdue and more important work waits: else
 * the overdue outrank the fresh, and one pod's overload spreads over all (domino effect).
 */
#ifndef SCX_SLO_PROMOTE_BPF_H
#define SCX_SLO_PROMOTE_BPF_H

#include "queue.bpf.h"
#include "tier.bpf.h"

#define PROMOTE_DEPTH	4	/* looked at per pick; demoted tasks are few, they belong to pods with an SLO */

/* The most important pod whose work came to an LLC's deadline queue lately. */
struct important {
	u64 seen_ns;
	u64 importance;
} important_of_llc[SLO_MAX_LLCS];

static __always_inline void note_importance(u32 llc, u32 importance, u64 now)
{
	struct important *last = &important_of_llc[MASKED(llc, SLO_MAX_LLCS)];

	if (importance >= last->importance || now - last->seen_ns > 100 * NSEC_PER_MSEC) {
		last->importance = importance;
		last->seen_ns = now;
	}
}

/* A queued task's slots as they were when it was queued. */
static __always_inline bool account_of_queued(struct task_ctx *task, u32 llc, struct account *at)
{
	at->slot = task->cache.slot;
	return fill_account(at, llc);
}

/* Enough credit to run for a tick? Then the task's new deadline, else 0. */
__noinline u64 promotion_deadline(s32 pid, u32 llc, u64 now)
{
	struct task_struct *p = bpf_task_from_pid(pid);
	struct reservation r;
	struct task_ctx *task;
	struct account at;
	u64 deadline_ns = 0;
	u64 relative_ns;

	if (!p)
		return 0;
	task = ctx_of(p);
	if (!task || now < task->shed_until_ns || !account_of_queued(task, llc, &at))
		goto out;
	relative_ns = relative_deadline(p, &at);
	reservation_of(at.slo, at.slo_slot, &r);
	if (!relative_ns || credit_of(&r, now) < (s64)tick_ns)
		goto out;
	if (!enter_deadline_tier(p, task, &at, relative_ns, false, now))
		goto out;
	task->tier = TIER_DEADLINE;
	task->demoted = false;
	deadline_ns = task->deadline_ns;
out:
	bpf_task_release(p);
	return deadline_ns;
}

__noinline int promote(u64 demoted_dsq, u64 deadline_dsq, u32 llc, u64 now)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 deadline_ns;
	int i;

	if (scx_bpf_dsq_nr_queued(demoted_dsq) <= 0)
		return 0;
	bpf_iter_scx_dsq_new(&it, demoted_dsq, 0);
	bpf_for(i, 0, PROMOTE_DEPTH) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p)
			break;
		deadline_ns = promotion_deadline(p->pid, llc, now);
		if (deadline_ns)
			dsq_move_vtime(&it, p, deadline_dsq, deadline_slice_ns, deadline_ns);
	}
	bpf_iter_scx_dsq_destroy(&it);
	return 0;
}

/* The key in the demoted queue of an overdue task that must give way; 0: it stays. */
__noinline u64 giving_way(s32 pid, u32 llc, u64 now)
{
	struct task_struct *p = bpf_task_from_pid(pid);
	struct important *most = &important_of_llc[MASKED(llc, SLO_MAX_LLCS)];
	struct task_ctx *task;
	struct account at;
	u64 vtime_ns = 0;

	if (!p)
		return 0;
	task = ctx_of(p);
	if (!task || is_exempt_from_credit(p) || !account_of_queued(task, llc, &at) ||
	    at.slot == SLO_SLOT_SYSTEM || at.slo->importance >= most->importance)
		goto out;
	task->burst.shed = true;
	task->shed_until_ns = now + at.slo->budget_ns;
	task->tier = TIER_FAIR;
	task->demoted = true;
	task->deadline_ns = 0;
	place_fairly(p, task, &at, scx_bpf_task_cpu(p), fair_slice_ns, false, now);
	vtime_ns = task->vtime_ns;
	__sync_fetch_and_add(&health.expired_demotions, 1);
out:
	bpf_task_release(p);
	return vtime_ns;
}

/* Heads that have been overdue for overdue_ns make way for what is more important. */
__noinline int demote_overdue(u32 llc, u64 now)
{
	struct important *most = &important_of_llc[MASKED(llc, SLO_MAX_LLCS)];
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 vtime_ns;
	int i;

	if (now - most->seen_ns > 100 * NSEC_PER_MSEC)
		return 0;
	bpf_iter_scx_dsq_new(&it, LLC_DSQ(DSQ_DEADLINE, llc), 0);
	bpf_for(i, 0, PROMOTE_DEPTH) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p || p->scx.dsq_vtime + overdue_ns > now)
			break;
		vtime_ns = giving_way(p->pid, llc, now);
		if (vtime_ns)
			dsq_move_vtime(&it, p, LLC_DSQ(DSQ_DEMOTED, llc), fair_slice_ns, vtime_ns);
	}
	bpf_iter_scx_dsq_destroy(&it);
	return 0;
}

#endif /* SCX_SLO_PROMOTE_BPF_H */

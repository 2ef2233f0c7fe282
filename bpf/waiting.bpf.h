/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many tasks wait where, without asking the kernel for each queue. A count may be too
 * high for a moment, never too low: then work would be overlooked.
 *
 * A task moves between the deadline and the demoted queue without its run queue's lock
 * (promote.bpf.h), so these two have one count together, and the move changes none.
 */
#ifndef SCX_SLO_WAITING_BPF_H
#define SCX_SLO_WAITING_BPF_H

#include "group.bpf.h"
#include "task.bpf.h"

/*
 * What counts a task, in one word that changes hands atomically, because the quota timer
 * joins a task that its own CPU may take away meanwhile; 0: nothing counts it.
 * Bits 0 .. 31: low bits of the time, so that no two are alike; 32 .. 47: the group that has
 * it as a waiting waker; 48 .. 59: CPU or LLC; then the flags.
 */
#define COUNTED_GROUP(token)	((u32)((token) >> 32) & 0xffff)
#define COUNTED_AT(token)	((u32)((token) >> 48) & 0xfff)
#define COUNTED_AS_WAKER	(1ULL << 60)
#define COUNTED_OF_CPU		(1ULL << 61)	/* in a CPU's own queue, else in an LLC's */
#define COUNTED_FAIR		(1ULL << 62)
#define COUNTED			(1ULL << 63)

_Static_assert(SLO_MAX_CPUS <= 0x1000 && SLO_MAX_LLCS <= 0x1000, "a token has 12 bits for the place");
_Static_assert(SLO_SLOTS <= 0x10000, "a token has 16 bits for the group");

static __always_inline void add_to(struct waiting *waiting, u64 token, s32 tasks)
{
	if (token & COUNTED_FAIR)
		__sync_fetch_and_add(&waiting->fair, tasks);
	else
		__sync_fetch_and_add(&waiting->slo, tasks);
}

static __always_inline void count_token(u64 token, s32 tasks)
{
	u32 at = COUNTED_AT(token);
	struct cpu_ctx *cpuc;
	struct group *group;

	if (token & COUNTED_OF_CPU) {
		__sync_fetch_and_add(&nr_restricted_waiting, tasks);
		cpuc = cpu_ctx_of(at);
		if (cpuc)
			add_to(&cpuc->waiting, token, tasks);
	} else {
		add_to(waiting_in(at), token, tasks);
	}
	if (token & COUNTED_AS_WAKER) {
		group = group_of(COUNTED_GROUP(token));
		if (group)
			__sync_fetch_and_add(&group->nr_wakers, tasks);
	}
}

static __always_inline u64 token_for(const struct task_ctx *task, u32 llc, s32 cpu, u32 slot, bool woke, u64 now)
{
	u64 token = COUNTED | (u32)now;

	token |= (u64)(task->restricted ? cpu & 0xfff : llc & 0xfff) << 48;
	if (task->restricted)
		token |= COUNTED_OF_CPU;
	if (task->tier == TIER_DEADLINE)
		return token;
	if (woke)
		token |= COUNTED_AS_WAKER | (u64)(slot & 0xffff) << 32;
	return task->demoted ? token : token | COUNTED_FAIR;
}

/* It runs, or sleeps again, or is queued anew: in no queue of ours. */
static __always_inline void left_queue(struct task_ctx *task)
{
	u64 token;

	if (!READ_ONCE(task->counted))
		return;
	token = __sync_lock_test_and_set(&task->counted, 0);
	if (token)
		count_token(token, -1);
}

/* Under the task's run queue lock, before it is queued, so that nobody overlooks it. */
static __always_inline void joins_queue(struct task_ctx *task, u64 token)
{
	count_token(token, 1);
	token = __sync_lock_test_and_set(&task->counted, token);
	if (token)
		count_token(token, -1);
}

/* Without that lock; false: it is queued elsewhere already. Taken back when the move then fails. */
static __always_inline bool joins_from_outside(struct task_ctx *task, u64 token)
{
	count_token(token, 1);
	if (!__sync_val_compare_and_swap(&task->counted, 0, token))
		return true;
	count_token(token, -1);
	return false;
}

static __always_inline void taken_back(struct task_ctx *task, u64 token)
{
	if (__sync_val_compare_and_swap(&task->counted, token, 0) == token)
		count_token(token, -1);
}

#endif /* SCX_SLO_WAITING_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a free CPU runs next: what the floor owes the fair tier, else the earliest
 * deadline, else the smallest virtual time, else work of another LLC.
 */
#ifndef SCX_SLO_PICK_BPF_H
#define SCX_SLO_PICK_BPF_H

#include "queue.bpf.h"
#include "tier.bpf.h"

/* The running task, where it may go on, as a competitor of the queues. */
struct incumbent {
	u32 tier;		/* TIER_NONE: none */
	u64 key;
};

static __always_inline u64 fair_backlog(u32 llc, s32 cpu)
{
	return scx_bpf_dsq_nr_queued(DSQ_FAIR_LLC | llc) + scx_bpf_dsq_nr_queued(DSQ_FAIR_CPU | cpu);
}

/* Take the earlier head of two queues; the other where that one was emptied or is not for us. */
static __always_inline bool take_earlier(u64 shared_dsq, u64 own_dsq, u64 shared_key, u64 own_key)
{
	if (own_key < shared_key)
		return dsq_move_to_local(own_dsq) || dsq_move_to_local(shared_dsq);
	return (shared_key != KEY_EMPTY && dsq_move_to_local(shared_dsq)) ||
	       (own_key != KEY_EMPTY && dsq_move_to_local(own_dsq));
}

static __noinline bool take_fair(u32 llc, s32 cpu, u64 incumbent_key, bool *keep)
{
	u64 shared_key = first_key(DSQ_FAIR_LLC | llc);
	u64 own_key = first_key(DSQ_FAIR_CPU | cpu);
	u64 head = (s64)(own_key - shared_key) < 0 && own_key != KEY_EMPTY ? own_key : shared_key;

	if (incumbent_key != KEY_EMPTY && (head == KEY_EMPTY || (s64)(incumbent_key - head) <= 0)) {
		*keep = true;
		return false;
	}
	return take_earlier(DSQ_FAIR_LLC | llc, DSQ_FAIR_CPU | cpu, shared_key, own_key);
}

static __noinline bool take_deadline(u32 llc, s32 cpu, u64 incumbent_key, bool *keep)
{
	u64 shared_key = first_key(DSQ_DEADLINE_LLC | llc);
	u64 own_key = first_key(DSQ_DEADLINE_CPU | cpu);

	if (incumbent_key != KEY_EMPTY && incumbent_key <= shared_key && incumbent_key <= own_key) {
		*keep = true;
		return false;
	}
	return take_earlier(DSQ_DEADLINE_LLC | llc, DSQ_DEADLINE_CPU | cpu, shared_key, own_key);
}

/*
 * The floor: while fair work waits, it gets floor_quantum_ns in each interval of
 * floor_quantum_ns / floor_share on every CPU. Intervals missed are not made up for,
 * so that a debt never becomes one long run in front of a deadline.
 */
static __always_inline bool floor_is_due(struct cpu_ctx *cpuc, u64 backlog, u64 now)
{
	u64 interval_ns = (floor_quantum_ns << 10) / (floor_share ?: 1);

	if (!backlog) {
		cpuc->floor_since_ns = now;
		cpuc->floor_used_ns = 0;
		return false;
	}
	if (now - cpuc->floor_since_ns < interval_ns)
		return false;
	if (cpuc->floor_used_ns >= floor_quantum_ns) {
		cpuc->floor_since_ns = now;
		cpuc->floor_used_ns = 0;
		return false;
	}
	return floor_share;
}

/* The next interval starts when this one was due, not when a CPU came to look. */
static __always_inline void floor_is_served(struct cpu_ctx *cpuc, u64 now)
{
	u64 interval_ns = (floor_quantum_ns << 10) / (floor_share ?: 1);

	cpuc->floor_since_ns += interval_ns;
	if (now - cpuc->floor_since_ns >= interval_ns)
		cpuc->floor_since_ns = now;
	cpuc->floor_used_ns = 0;
	cpuc->protected_until_ns = now + floor_quantum_ns;
	__sync_fetch_and_add(&health.floor_picks, 1);
}

/* Another LLC's work: overdue deadlines always, anything where this CPU would go idle. */
static __noinline bool steal(u32 llc, bool would_idle, u64 now)
{
	int i;

	bpf_for(i, 1, nr_llcs) {
		u32 other = (llc + i) % nr_llcs;
		u64 key = first_key(DSQ_DEADLINE_LLC | other);

		if (key != KEY_EMPTY && (would_idle || key < now) && dsq_move_to_local(DSQ_DEADLINE_LLC | other))
			return true;
		if (would_idle && dsq_move_to_local(DSQ_FAIR_LLC | other))
			return true;
	}
	return false;
}

#endif /* SCX_SLO_PICK_BPF_H */

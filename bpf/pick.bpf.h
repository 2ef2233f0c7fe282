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

/* Tasks that wait as fair work where this CPU looks. */
static __always_inline u64 fair_backlog(u32 llc, s32 cpu)
{
	return scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_FAIR, llc)) + scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_FAIR, cpu)) +
	       scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_DEMOTED, llc)) + scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_DEMOTED, cpu));
}

/* Also demoted work, which the next pick may promote. */
static __always_inline bool deadline_work_waits(u32 llc, s32 cpu)
{
	return scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_DEADLINE, llc)) > 0 ||
	       scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_DEADLINE, cpu)) > 0 ||
	       scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_DEMOTED, llc)) > 0 ||
	       scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_DEMOTED, cpu)) > 0;
}

/* Take the earlier head of two queues; the other where that one was emptied or is not for us. */
static __always_inline bool take_earlier(u64 shared_dsq, u64 own_dsq, u64 shared_key, u64 own_key)
{
	if (own_key < shared_key)
		return dsq_move_to_local(own_dsq) || (shared_key != KEY_EMPTY && dsq_move_to_local(shared_dsq));
	return (shared_key != KEY_EMPTY && dsq_move_to_local(shared_dsq)) ||
	       (own_key != KEY_EMPTY && dsq_move_to_local(own_dsq));
}

/* The smallest virtual time of the fair and the demoted queues, unless the incumbent's is smaller. */
static __noinline bool take_fair(u32 llc, s32 cpu, u64 incumbent_key, bool *keep)
{
	u64 fair_key = first_key(LLC_DSQ(DSQ_FAIR, llc)), own_fair_key = first_key(CPU_DSQ(DSQ_FAIR, cpu));
	u64 demoted_key = first_key(LLC_DSQ(DSQ_DEMOTED, llc)), own_demoted_key = first_key(CPU_DSQ(DSQ_DEMOTED, cpu));
	u64 fair_head = fair_key < own_fair_key ? fair_key : own_fair_key;
	u64 demoted_head = demoted_key < own_demoted_key ? demoted_key : own_demoted_key;

	if (incumbent_key != KEY_EMPTY && incumbent_key <= fair_head && incumbent_key <= demoted_head) {
		*keep = true;
		return false;
	}
	if (demoted_head < fair_head &&
	    take_earlier(LLC_DSQ(DSQ_DEMOTED, llc), CPU_DSQ(DSQ_DEMOTED, cpu), demoted_key, own_demoted_key))
		return true;
	if (take_earlier(LLC_DSQ(DSQ_FAIR, llc), CPU_DSQ(DSQ_FAIR, cpu), fair_key, own_fair_key))
		return true;
	return take_earlier(LLC_DSQ(DSQ_DEMOTED, llc), CPU_DSQ(DSQ_DEMOTED, cpu), demoted_key, own_demoted_key);
}

static __noinline bool take_deadline(u32 llc, s32 cpu, u64 incumbent_key, bool *keep)
{
	u64 shared_key = first_key(LLC_DSQ(DSQ_DEADLINE, llc));
	u64 own_key = first_key(CPU_DSQ(DSQ_DEADLINE, cpu));

	if (incumbent_key != KEY_EMPTY && incumbent_key <= shared_key && incumbent_key <= own_key) {
		*keep = true;
		return false;
	}
	return take_earlier(LLC_DSQ(DSQ_DEADLINE, llc), CPU_DSQ(DSQ_DEADLINE, cpu), shared_key, own_key);
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
		u64 key = first_key(LLC_DSQ(DSQ_DEADLINE, other));

		if (key != KEY_EMPTY && (would_idle || key < now) &&
		    dsq_move_to_local(LLC_DSQ(DSQ_DEADLINE, other)))
			return true;
		if (would_idle && (dsq_move_to_local(LLC_DSQ(DSQ_FAIR, other)) ||
				   dsq_move_to_local(LLC_DSQ(DSQ_DEMOTED, other))))
			return true;
	}
	return false;
}

#endif /* SCX_SLO_PICK_BPF_H */

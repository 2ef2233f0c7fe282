/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a free CPU runs next: what the floor owes work without an SLO, else the earliest
 * deadline, else the smallest virtual time, else work of another LLC or CPU.
 */
#ifndef SCX_SLO_PICK_BPF_H
#define SCX_SLO_PICK_BPF_H

#include "queue.bpf.h"
#include "tier.bpf.h"
#include "waiting.bpf.h"
#include "preempt.bpf.h"
#include "promote.bpf.h"

/* The running task, where it may go on, as a competitor of the queues. */
struct incumbent {
	u32 tier;		/* TIER_NONE: none */
	bool demoted;
	u64 key;
};

/* Work with a deadline waits where this CPU looks, or demoted work, which the next pick may promote. */
static __always_inline u32 slo_waiting(struct cpu_ctx *cpuc, u32 llc)
{
	return READ_ONCE(waiting_in(llc)->slo) + READ_ONCE(cpuc->waiting.slo);
}

static __always_inline u32 fair_waiting(struct cpu_ctx *cpuc, u32 llc)
{
	return READ_ONCE(waiting_in(llc)->fair) + READ_ONCE(cpuc->waiting.fair);
}

/* How a pick ended. */
enum pick {
	PICK_NOTHING = 0,
	PICK_TAKEN = 1,		/* a task is in the CPU's local queue */
	PICK_KEEP = 2,		/* the incumbent comes first */
};

/*
 * Take the earlier head of a kind's two queues; the other where that one was emptied or is
 * not for us. KEY_EMPTY: nothing waits there.
 */
static __always_inline int take_earlier(u64 kind, u32 llc, s32 cpu, u64 shared_key, u64 own_key)
{
	u64 shared_dsq = LLC_DSQ(kind, (u64)llc), own_dsq = CPU_DSQ(kind, (u64)cpu);

	if (own_key < shared_key)
		return dsq_move_to_local(own_dsq) || (shared_key != KEY_EMPTY && dsq_move_to_local(shared_dsq));
	return (shared_key != KEY_EMPTY && dsq_move_to_local(shared_dsq)) ||
	       (own_key != KEY_EMPTY && dsq_move_to_local(own_dsq));
}

/* A neighbour LLC's fair head that is far behind ours: weights hold across LLCs. One neighbour a pick. */
__noinline int take_far_behind(u32 llc, s32 cpu, u64 own_head)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	u32 other;
	u64 key;

	if (!cpuc)
		return false;
	cpuc->next_llc++;
	other = (llc + 1 + cpuc->next_llc % (nr_llcs - 1)) % nr_llcs;
	key = first_of_llc(DSQ_FAIR, other);
	return key != KEY_EMPTY && key + fair_balance_ns < own_head && dsq_move_to_local(LLC_DSQ(DSQ_FAIR, other));
}

/* The smallest virtual time of the fair and the demoted queues, unless the incumbent's is smaller. */
__noinline int take_fair(u32 llc, s32 cpu, u64 incumbent_key)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	u64 fair_key, own_fair_key, demoted_key, own_demoted_key;
	u64 fair_head, demoted_head, head;

	if (!cpuc)
		return PICK_NOTHING;
	/* one queue and nobody to compare with: no need to look at its head */
	if (incumbent_key == KEY_EMPTY && nr_llcs == 1 && !slo_waiting(cpuc, llc) && !cpuc->waiting.fair)
		return dsq_move_to_local(LLC_DSQ(DSQ_FAIR, llc));
	fair_key = first_of_llc(DSQ_FAIR, llc);
	own_fair_key = first_of_cpu(cpuc, DSQ_FAIR, cpu);
	demoted_key = first_of_llc(DSQ_DEMOTED, llc);
	own_demoted_key = first_of_cpu(cpuc, DSQ_DEMOTED, cpu);
	fair_head = fair_key < own_fair_key ? fair_key : own_fair_key;
	demoted_head = demoted_key < own_demoted_key ? demoted_key : own_demoted_key;
	head = fair_head < demoted_head ? fair_head : demoted_head;

	if (nr_llcs > 1 && take_far_behind(llc, cpu, head < incumbent_key ? head : incumbent_key))
		return PICK_TAKEN;
	if (incumbent_key != KEY_EMPTY && incumbent_key <= head)
		return PICK_KEEP;
	if (demoted_head < fair_head && take_earlier(DSQ_DEMOTED, llc, cpu, demoted_key, own_demoted_key))
		return PICK_TAKEN;
	return take_earlier(DSQ_FAIR, llc, cpu, fair_key, own_fair_key) ||
	       take_earlier(DSQ_DEMOTED, llc, cpu, demoted_key, own_demoted_key);
}

/* For the floor: only work without an SLO. */
__noinline int take_floor(u32 llc, s32 cpu, u64 incumbent_key)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	u64 shared_key, own_key;

	if (!cpuc)
		return PICK_NOTHING;
	shared_key = first_of_llc(DSQ_FAIR, llc);
	own_key = first_of_cpu(cpuc, DSQ_FAIR, cpu);
	if (incumbent_key != KEY_EMPTY && incumbent_key <= shared_key && incumbent_key <= own_key)
		return PICK_KEEP;
	return take_earlier(DSQ_FAIR, llc, cpu, shared_key, own_key);
}

__noinline int take_deadline(u32 llc, s32 cpu, u64 now, u64 incumbent_key)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	u64 shared_key, own_key;

	if (!cpuc)
		return PICK_NOTHING;
	/* the only one, and nobody to compare with: no need to look at it */
	if (incumbent_key == KEY_EMPTY && waiting_in(llc)->slo == 1 && !cpuc->waiting.slo)
		return dsq_move_to_local(LLC_DSQ(DSQ_DEADLINE, llc));
	shared_key = first_of_llc(DSQ_DEADLINE, llc);
	own_key = first_of_cpu(cpuc, DSQ_DEADLINE, cpu);
	if (shared_key != KEY_EMPTY && shared_key + overdue_ns < now) {
		demote_overdue(llc, now);
		shared_key = first_of_llc(DSQ_DEADLINE, llc);
	}
	if (incumbent_key != KEY_EMPTY && incumbent_key <= shared_key && incumbent_key <= own_key)
		return PICK_KEEP;
	return take_earlier(DSQ_DEADLINE, llc, cpu, shared_key, own_key);
}

/* In 1/1024 of a CPU: doubled, and doubled again, while somebody waits very long. */
u32 floor_share_now;

/*
 * The floor: while work without an SLO waits, each CPU owes it floor_share of its time.
 * What it got before counts in advance, up to one quantum, and a debt is never more than
 * one quantum, so that it never becomes one long run in front of a deadline.
 */
static __always_inline bool floor_is_due(struct cpu_ctx *cpuc, u64 backlog, u64 now)
{
	u64 passed_ns = now - cpuc->floor_at_ns;

	cpuc->floor_at_ns = now;
	if (!backlog || passed_ns > NSEC_PER_SEC) { /* or a clock that went back */
		cpuc->floor_owed_ns = -(s64)floor_quantum_ns;
		return false;
	}
	if (cpuc->floor_owed_ns < -(s64)floor_quantum_ns)
		cpuc->floor_owed_ns = -(s64)floor_quantum_ns;
	cpuc->floor_owed_ns += passed_ns * floor_share_now >> 10;
	if (cpuc->floor_owed_ns > (s64)floor_quantum_ns)
		cpuc->floor_owed_ns = floor_quantum_ns;
	return floor_share_now && cpuc->floor_owed_ns >= 0;
}

/* Ends at a tick: half a tick less than the quantum is the quantum on average. */
static __always_inline void floor_run_begins(struct cpu_ctx *cpuc, u64 now)
{
	u64 protected_ns = floor_quantum_ns > tick_ns / 2 ? floor_quantum_ns - tick_ns / 2 : 1;

	cpuc->protected_until_ns = now + protected_ns;
	__sync_fetch_and_add(&health.floor_picks, 1);
}

/* Of the neighbours in the LLC: work that is bound to them and to this CPU. */
__noinline int steal_restricted(u32 llc, s32 cpu)
{
	int i;

	if (!READ_ONCE(nr_restricted_waiting))
		return false;
	bpf_for(i, 0, victim_scan) {
		s32 other = llc_neighbour(llc, cpu, i);

		if (other < 0)
			break;
		if (dsq_move_to_local(CPU_DSQ(DSQ_DEADLINE, (u64)other)) ||
		    dsq_move_to_local(CPU_DSQ(DSQ_FAIR, (u64)other)) ||
		    dsq_move_to_local(CPU_DSQ(DSQ_DEMOTED, (u64)other)))
			return true;
	}
	return false;
}

/* Another LLC's work: overdue deadlines always, anything where this CPU would go idle. */
__noinline int steal(u32 llc, bool would_idle, u64 now)
{
	int i;

	bpf_for(i, 1, nr_llcs) {
		u32 other = (llc + i) % nr_llcs;
		u64 key = first_of_llc(DSQ_DEADLINE, other);

		if (key != KEY_EMPTY && (would_idle || key < now) &&
		    dsq_move_to_local(LLC_DSQ(DSQ_DEADLINE, other)))
			return true;
		if (would_idle && READ_ONCE(waiting_in(other)->fair) + READ_ONCE(waiting_in(other)->slo) &&
		    (dsq_move_to_local(LLC_DSQ(DSQ_FAIR, other)) || dsq_move_to_local(LLC_DSQ(DSQ_DEMOTED, other))))
			return true;
	}
	return false;
}

#endif /* SCX_SLO_PICK_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Credit: the CPU time that a slot may still use with a deadline. It refills at the
 * slot's reservation, up to a cap, and what runs in the deadline tier draws on it, as
 * in a constant-bandwidth server. So a pod that lies about its budget gets what was
 * reserved for it and no more; the rest of its work is fair work.
 */
#ifndef SCX_SLO_CREDIT_BPF_H
#define SCX_SLO_CREDIT_BPF_H

#include "maps.bpf.h"
#include "tunables.bpf.h"

#define REFILL_STEP_NS		(500 * NSEC_PER_USEC)
#define SYSTEM_CREDIT_CAP_NS	(50 * NSEC_PER_MSEC)

struct reservation {
	u32 slot;		/* whose credit */
	u32 cpus_fp;		/* refill, CPUs << SLO_CPU_SHIFT */
	u64 cap_ns;
	u64 cgroup_id;
};

/*
 * A container draws on its pod's credit; system work on the system's own, which the agent
 * raises where daemons need more, and which is never less than system_reserved.
 */
static __always_inline void reservation_of(struct slo_policy *policy, u32 slot, struct reservation *r)
{
	u32 pool = slot == SLO_SLOT_SYSTEM ? slot : policy->credit_slot;
	struct slo_policy *owner = policy;

	if (slot == SLO_SLOT_SYSTEM) {
		u32 cpus_fp = policy->reserved_cpus;
		u64 cap_ns = policy->credit_cap_ns;

		if (cpus_fp < system_reserved)
			cpus_fp = system_reserved;
		if (cap_ns < SYSTEM_CREDIT_CAP_NS)
			cap_ns = SYSTEM_CREDIT_CAP_NS;
		*r = (struct reservation){ slot, cpus_fp, cap_ns, 1 };
		return;
	}
	if (pool != slot)
		owner = policy_of(pool) ?: policy;
	*r = (struct reservation){ pool, owner->reserved_cpus, owner->credit_cap_ns, owner->cgroup_id };
}

/* Refill lazily; returns the credit now. */
static __always_inline s64 credit_of(struct reservation *r, u64 now)
{
	struct slot_state *state = state_of(r->slot);
	u64 last, add_ns;

	if (!state)
		return 0;
	last = READ_ONCE(state->refilled_at_ns);
	if (state->cgroup_id != r->cgroup_id) {
		/* another cgroup got this slot: it starts with a full purse */
		state->cgroup_id = r->cgroup_id;
		state->credit_ns = r->cap_ns;
		state->refilled_at_ns = now;
	} else if (now > last && now - last >= REFILL_STEP_NS &&
		   __sync_val_compare_and_swap(&state->refilled_at_ns, last, now) == last) {
		/* after a long quiet time only the cap matters; it also keeps the product within 64 bits */
		u64 passed_ns = now - last < NSEC_PER_SEC ? now - last : NSEC_PER_SEC;
		s64 room_ns = (s64)r->cap_ns - state->credit_ns;

		add_ns = passed_ns * r->cpus_fp >> SLO_CPU_SHIFT;
		if (room_ns > 0)
			__sync_fetch_and_add(&state->credit_ns,
					     (s64)add_ns < room_ns ? (s64)add_ns : room_ns);
	}
	return state->credit_ns;
}

/*
 * By how much time the pod is ahead of its reservation, beyond what counts as a clump of
 * requests: as much later are its deadlines. A pod that never stops running (whatever its
 * budget) then yields to those that run less than they may.
 */
static __always_inline u64 ahead_of_reservation(struct reservation *r, s64 credit_ns)
{
	s64 spent_ns = (s64)r->cap_ns - credit_ns;
	u64 allowed_ns = deadline_burst_ns * r->cpus_fp >> SLO_CPU_SHIFT;

	if (allowed_ns < deadline_burst_cpu_ns)
		allowed_ns = deadline_burst_cpu_ns;
	if (spent_ns <= (s64)allowed_ns || !r->cpus_fp)
		return 0;
	return ((u64)(spent_ns - allowed_ns) << SLO_CPU_SHIFT) / r->cpus_fp;
}

/* Debt is bounded by the cap, so that one long run is paid back in a bounded time. */
static __always_inline void credit_draw(struct reservation *r, u64 used_ns)
{
	struct slot_state *state = state_of(r->slot);

	if (state && state->credit_ns > -(s64)r->cap_ns)
		__sync_fetch_and_sub(&state->credit_ns, used_ns);
}

#endif /* SCX_SLO_CREDIT_BPF_H */

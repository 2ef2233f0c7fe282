/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which slot a task belongs to: that of its nearest ancestor cgroup that has one,
 * so a container's setting beats its pod's, and runtimes may nest cgroups below
 * (crun's `container`, exec, delegated trees). The cgroup is the task's, never
 * that of `current`, who in a wake-up is the waker.
 */
#ifndef SCX_SLO_SLOT_BPF_H
#define SCX_SLO_SLOT_BPF_H

#include "maps.bpf.h"

/* Cached answer; stale when the task moved or the agent changed the index. */
struct slot_cache {
	u64 cgroup_id;
	u32 generation;
	u32 slot;
};

static u32 __noinline nearest_slot(struct cgroup *cgrp)
{
	for (int depth = 0; depth < SLO_MAX_CGROUP_DEPTH; depth++) {
		u64 id = BPF_CORE_READ(cgrp, kn, id);
		u32 *slot = bpf_map_lookup_elem(&slot_of, &id);

		if (slot)
			return *slot;
		cgrp = BPF_CORE_READ(cgrp, self.parent, cgroup);
		if (!cgrp)
			break;
	}
	return SLO_SLOT_SYSTEM;
}

static __always_inline u32 slot_of_task(struct task_struct *p, struct slot_cache *cache)
{
	struct cgroup *cgrp = p->cgroups->dfl_cgrp;
	u64 id = cgrp->kn->id;
	u32 generation = READ_ONCE(control.generation);

	if (cache->cgroup_id != id || cache->generation != generation) {
		cache->slot = nearest_slot(cgrp);
		cache->generation = generation;
		cache->cgroup_id = id;
	}
	return cache->slot;
}

/* A task's slots (abi.h: its own, and the one that its SLO and counters hang off). */
struct account {
	u32 slot;
	u32 slo_slot;
	struct slo_policy *policy;	/* of slot: weight and quota */
	struct slo_policy *slo;		/* of slo_slot: budget, importance, credit */
	struct slo_stats *st;		/* of slo_slot */
};

/* What hangs off at->slot; `llc` chooses the counters' shard. */
static __always_inline bool fill_account(struct account *at, u32 llc)
{
	at->policy = policy_of(at->slot);
	if (!at->policy)
		return false;
	at->slo_slot = at->slot == SLO_SLOT_SYSTEM ? SLO_SLOT_SYSTEM : at->policy->slo_slot;
	at->slo = at->slo_slot == at->slot ? at->policy : policy_of(at->slo_slot);
	at->st = stats_of(at->slo_slot, llc);
	return at->slo && at->st;
}

static __always_inline bool account_of(struct task_struct *p, struct slot_cache *cache, u32 llc,
				       struct account *at)
{
	at->slot = slot_of_task(p, cache);
	return fill_account(at, llc);
}

#endif /* SCX_SLO_SLOT_BPF_H */

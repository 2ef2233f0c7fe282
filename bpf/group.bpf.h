/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Groups: what cpu.weight means. A slot's share of the node is the product, level by
 * level, of its weight over the weights of its active siblings (flattened hierarchy).
 * Its virtual time advances by CPU time / share, whatever tier the time was used in and
 * however many threads use it: more threads, or forking, buy a group nothing.
 *
 * A group is active from the first runnable task until it has had none for
 * group_idle_ns; the timer takes it out again and follows changed weights.
 */
#ifndef SCX_SLO_GROUP_BPF_H
#define SCX_SLO_GROUP_BPF_H

#include "maps.bpf.h"
#include "tunables.bpf.h"

#define SHARE_ONE		(1u << 30)	/* the whole node */
#define SHARE_MIN		(1u << 10)	/* keeps time / share within 64 bits */
#define GROUP_LEVELS		8		/* root, QoS class, pod, container, and room */
#define DEFAULT_WEIGHT		100		/* cpu.weight where none is known */

struct group {
	u64 cgroup_id;		/* whose: another id starts anew */
	u64 vtime_ns;		/* CPU time / share */
	u64 idle_since_ns;	/* no runnable task since; the timer sets it */
	u64 share_at_ns;
	u32 share;		/* of the node, << 30; 0: not known */
	u32 share_generation;
	s32 nr_runnable;	/* tasks of this very slot, running ones too */
	s32 nr_wakers;		/* of them, woken and waiting in a fair queue */
	u32 active;
	u32 counted_weight;	/* what the parent's children_weight has of it; 0: not active */
	u32 counted_parent;
	u32 children_weight;	/* of active children */
	u64 quota_of;		/* whose quota: another id owes nothing */
	s64 quota_left_ns;	/* cpu.max: negative is debt */
	u64 period_from_ns;
	u64 throttled_from_ns;	/* period_from_ns of the last period that ran out */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLO_SLOTS);
	__type(key, u32);
	__type(value, struct group);
} groups SEC(".maps");

/* One bit a slot: the timer's work list. */
u64 active_slots[SLO_SLOTS / 64];

/* Active children of the hierarchy's root. */
u32 root_children_weight;

/* Moves when a group comes or goes or changes weight: cached shares are stale then. */
u32 share_generation;

/*
 * The fair clock: the largest virtual time that a group had when it was given a CPU. A
 * group that was idle starts here; one for the node, so that weights hold across LLCs.
 * Work with restricted affinity goes by a clock of its CPU instead (cpu_ctx): a pod that
 * has a CPU for itself must not carry the others' clock away.
 * Not from 0, so that a lag below the clock never wraps.
 */
u64 fair_clock_ns = 1ULL << 40;

static __always_inline struct group *group_of(u32 slot)
{
	return bpf_map_lookup_elem(&groups, &slot);
}

/* cpu.idle counts for next to nothing among its siblings, as in the kernel. */
static __always_inline u32 weight_of(struct slo_policy *policy)
{
	if (policy->flags & SLO_POLICY_IDLE)
		return 1;
	return policy->weight ?: DEFAULT_WEIGHT;
}

static __always_inline u32 parent_of(u32 slot, struct slo_policy *policy)
{
	return slot == SLO_SLOT_SYSTEM ? SLO_NO_SLOT : policy->parent_slot;
}

/* Sum of the weights of a slot's active children; SLO_NO_SLOT: of the root's. */
static __always_inline u32 children_weight_of(u32 parent)
{
	struct group *group;

	if (parent == SLO_NO_SLOT)
		return READ_ONCE(root_children_weight);
	group = group_of(parent);
	return group ? READ_ONCE(group->children_weight) : 0;
}

static __always_inline void add_child_weight(u32 parent, s32 weight)
{
	struct group *group;

	if (parent == SLO_NO_SLOT) {
		__sync_fetch_and_add(&root_children_weight, weight);
		return;
	}
	group = group_of(parent);
	if (group)
		__sync_fetch_and_add(&group->children_weight, weight);
}

static __always_inline void set_active_bit(u32 slot, bool on)
{
	u64 bit = 1ULL << (slot % 64);
	u64 *word = &active_slots[MASKED(slot / 64, SLO_SLOTS / 64)];

	if (on)
		__sync_fetch_and_or(word, bit);
	else
		__sync_fetch_and_and(word, ~bit);
}

/*
 * Functions that loop are global: the verifier looks at each once instead of once a caller,
 * which on some kernels is the difference between a second and minutes.
 */

/* Counts a group, and its ancestors as far as they are not counted yet, into their parents. */
__noinline int activate(u32 slot)
{
	int level;

	bpf_for(level, 0, GROUP_LEVELS) {
		struct slo_policy *policy = policy_of(slot);
		struct group *group = group_of(slot);
		u32 parent, weight;

		if (!policy || !group || __sync_val_compare_and_swap(&group->active, 0, 1))
			break;
		parent = parent_of(slot, policy);
		weight = weight_of(policy);
		group->share = 0;
		group->counted_parent = parent;
		add_child_weight(parent, weight);
		WRITE_ONCE(group->counted_weight, weight);
		set_active_bit(slot, true);
		if (parent == SLO_NO_SLOT)
			break;
		slot = parent;
	}
	__sync_fetch_and_add(&share_generation, 1);
	return 0;
}

/* A task of the slot became runnable, or moved here while it was. */
static __always_inline void group_enters(u32 slot)
{
	struct group *group = group_of(slot);

	if (!group)
		return;
	__sync_fetch_and_add(&group->nr_runnable, 1);
	if (!READ_ONCE(group->active))
		activate(slot);
}

static __always_inline void group_leaves(u32 slot)
{
	struct group *group = group_of(slot);

	if (group)
		__sync_fetch_and_sub(&group->nr_runnable, 1);
}

/*
 * By the weights that are counted, which the timer brings up to date: a new weight over a
 * sum of old ones would be no share at all, and a task keeps the place that it got by it.
 */
__noinline u32 compute_share(u32 slot)
{
	u64 share = SHARE_ONE;
	int level;

	bpf_for(level, 0, GROUP_LEVELS) {
		struct slo_policy *policy = policy_of(slot);
		struct group *group = group_of(slot);
		u32 parent, weight, sum;

		if (!policy || !group)
			break;
		weight = READ_ONCE(group->counted_weight);
		parent = weight ? READ_ONCE(group->counted_parent) : parent_of(slot, policy);
		weight = weight ?: weight_of(policy);
		sum = children_weight_of(parent);
		if (sum > weight)
			share = share * weight / sum;
		if (parent == SLO_NO_SLOT)
			break;
		slot = parent;
	}
	return share < SHARE_MIN ? SHARE_MIN : share;
}

/* The slot's share of the node, << 30; at most share_max_age_ns behind the truth. */
static __always_inline u32 share_of(struct group *group, u32 slot, u64 now)
{
	u32 generation = READ_ONCE(share_generation);

	if (group->share &&
	    (group->share_generation == generation || now - group->share_at_ns < share_max_age_ns))
		return group->share;
	group->share_generation = generation;
	group->share_at_ns = now;
	group->share = compute_share(slot);
	return group->share;
}

/* fair_wait_ns as virtual time, which passes as fast as all CPUs together. */
static __always_inline u64 farthest_ns(void)
{
	return fair_wait_ns * (nr_online_cpus ?: 1);
}

static __always_inline u64 over_share(u64 ns, u32 share)
{
	return ns * SHARE_ONE / (share ?: SHARE_ONE);
}

/* `used_ns` at most some seconds, or the product does not fit. */
static __always_inline void group_charge(struct group *group, u32 slot, u64 used_ns, u64 now)
{
	u64 used = used_ns < 4 * NSEC_PER_SEC ? used_ns : 4 * NSEC_PER_SEC;

	__sync_fetch_and_add(&group->vtime_ns, over_share(used, share_of(group, slot, now)));
}

/*
 * The group's virtual time, brought within [clock - lag, clock + debt] first: who was idle
 * keeps at most fair_lag_ns of CPU time that it did not use, and who ran ahead (a pod in
 * the deadline tier) waits at most fair_debt_ns for it, or for two slices where its share
 * is so small that those take longer, up to fair_wait_ns.
 */
static __always_inline u64 group_vtime(struct group *group, struct slo_policy *policy, u32 share, u64 clock_ns)
{
	u64 vtime_ns = READ_ONCE(group->vtime_ns);
	u64 first_ns = clock_ns - over_share(fair_lag_ns, share);
	u64 debt_ns = over_share(2 * fair_slice_ns, share);
	u64 within_ns = vtime_ns;

	/* a tiny share makes a large lag: never below zero */
	if ((s64)first_ns < 0 || first_ns > clock_ns)
		first_ns = 0;
	if (debt_ns > farthest_ns())
		debt_ns = farthest_ns();
	if (debt_ns < fair_debt_ns)
		debt_ns = fair_debt_ns;
	if (group->cgroup_id != policy->cgroup_id) {
		group->cgroup_id = policy->cgroup_id;
		within_ns = clock_ns;
	} else if (vtime_ns < first_ns) {
		within_ns = first_ns;
	} else if (vtime_ns > clock_ns + debt_ns) {
		within_ns = clock_ns + debt_ns;
	}
	if (within_ns != vtime_ns)
		__sync_val_compare_and_swap(&group->vtime_ns, vtime_ns, within_ns);
	return within_ns;
}

static __always_inline void advance_clock(u64 *clock_ns, u64 vtime_ns)
{
	if (vtime_ns > READ_ONCE(*clock_ns))
		WRITE_ONCE(*clock_ns, vtime_ns);
}

/* One active group, looked at by the timer: still active, still of that weight? */
__noinline int settle_group(u32 slot, u64 now)
{
	struct slo_policy *policy = policy_of(slot);
	struct group *group = group_of(slot);
	u32 parent, weight;

	if (!policy || !group || !group->active)
		return 0;
	if (group->nr_runnable > 0 || group->children_weight) {
		group->idle_since_ns = 0;
	} else if (!group->idle_since_ns) {
		group->idle_since_ns = now;
	} else if (now - group->idle_since_ns > group_idle_ns) {
		weight = group->counted_weight;
		parent = group->counted_parent;
		group->idle_since_ns = 0;
		WRITE_ONCE(group->counted_weight, 0);
		set_active_bit(slot, false);
		__sync_val_compare_and_swap(&group->active, 1, 0);
		add_child_weight(parent, -(s32)weight);
		/* a task that came meanwhile saw it active */
		if (READ_ONCE(group->nr_runnable) > 0)
			activate(slot);
		__sync_fetch_and_add(&share_generation, 1);
		return 0;
	}
	parent = parent_of(slot, policy);
	weight = weight_of(policy);
	if (!policy->cgroup_id && slot != SLO_SLOT_SYSTEM)
		return 0; /* released: as counted, until its last task has gone */
	if (weight == group->counted_weight && parent == group->counted_parent)
		return 0;
	add_child_weight(group->counted_parent, -(s32)group->counted_weight);
	add_child_weight(parent, weight);
	group->counted_parent = parent;
	WRITE_ONCE(group->counted_weight, weight);
	if (parent != SLO_NO_SLOT)
		activate(parent);
	__sync_fetch_and_add(&share_generation, 1);
	return 0;
}

/* Slots of one word of active_slots. */
__noinline int settle_word(u32 word, u64 now)
{
	u64 bits = active_slots[MASKED(word, SLO_SLOTS / 64)];
	int bit;

	if (!bits)
		return 0;
	bpf_for(bit, 0, 64) {
		if (bits & (1ULL << (bit & 63)))
			settle_group(word * 64 + bit, now);
	}
	return 0;
}

static __always_inline void settle_groups(u64 now)
{
	int word;

	bpf_for(word, 0, SLO_SLOTS / 64)
		settle_word(word, now);
}

#endif /* SCX_SLO_GROUP_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps and sections that the agent reads and writes; the same in observer and scheduler. */
#ifndef SCX_SLO_MAPS_BPF_H
#define SCX_SLO_MAPS_BPF_H

#include "kernel.h"

/* Number of last-level caches, 1 .. SLO_MAX_LLCS. The agent sizes `stats` by it. */
const volatile u32 nr_llcs = 1;

/* LLC of each CPU. A wrong entry costs locality, never correctness. */
const volatile u16 llc_of_cpu[SLO_MAX_CPUS];

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLO_SLOTS);
	__type(key, u32);
	__type(value, struct slo_policy);
} policies SEC(".maps");

/* One shard per LLC, so that counters bounce only between CPUs that share a cache. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLO_SLOTS);
	__type(key, u32);
	__type(value, struct slo_stats);
} stats SEC(".maps");

/* cgroup id -> slot. The pods' root cgroups map to SLO_SLOT_PODS. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * SLO_SLOTS);
	__type(key, u64);
	__type(value, u32);
} slot_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} miss_events SEC(".maps");

/* What the kernel side keeps per slot and the agent never writes. */
struct slot_state {
	u64 cgroup_id;		/* whose state this is: another id resets it */
	s64 credit_ns;
	u64 refilled_at_ns;
	u64 events_window_ns;	/* start of the current second */
	u64 events_in_window;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLO_SLOTS);
	__type(key, u32);
	__type(value, struct slot_state);
} slot_states SEC(".maps");

struct slo_control control SEC(".data.control");
struct slo_health health SEC(".data.health");

static __always_inline struct slo_policy *policy_of(u32 slot)
{
	return bpf_map_lookup_elem(&policies, &slot);
}

static __always_inline struct slot_state *state_of(u32 slot)
{
	return bpf_map_lookup_elem(&slot_states, &slot);
}

/*
 * Array sizes are powers of two and indexes are masked: the verifier follows a mask
 * through every register and spill, a comparison it may lose.
 */
#define MASKED(index, size)	((u32)(index) & ((size) - 1))

static __always_inline u32 llc_of(s32 cpu)
{
	return MASKED(llc_of_cpu[MASKED(cpu, SLO_MAX_CPUS)], SLO_MAX_LLCS);
}

static __always_inline struct slo_stats *stats_of(u32 slot, u32 llc)
{
	u32 index = llc * SLO_SLOTS + slot;

	return bpf_map_lookup_elem(&stats, &index);
}

#endif /* SCX_SLO_MAPS_BPF_H */

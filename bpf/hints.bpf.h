/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel tells a scheduler when somebody writes cpu.weight (6.12), cpu.max (6.17) or
 * cpu.idle (6.19). The agent is the source of weights and quotas on all kernels; these
 * calls only make it read the files at once instead of in its next round.
 */
#ifndef SCX_SLO_HINTS_BPF_H
#define SCX_SLO_HINTS_BPF_H

#include "maps.bpf.h"

static __always_inline void limits_changed(struct cgroup *cgrp)
{
	u64 id = BPF_CORE_READ(cgrp, kn, id);
	u32 *slot = bpf_map_lookup_elem(&slot_of, &id);
	struct slo_stats *st = slot ? stats_of(*slot, 0) : NULL;

	if (!st)
		return;
	__sync_fetch_and_add(&st->limit_changes, 1);
	__sync_fetch_and_add(&health.limit_changes, 1);
}

SEC("struct_ops/slo_cgroup_set_weight")
void BPF_PROG(slo_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	limits_changed(cgrp);
}

SEC("struct_ops/slo_cgroup_set_bandwidth")
void BPF_PROG(slo_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us, u64 burst_us)
{
	limits_changed(cgrp);
}

SEC("struct_ops/slo_cgroup_set_idle")
void BPF_PROG(slo_cgroup_set_idle, struct cgroup *cgrp, bool idle)
{
	limits_changed(cgrp);
}

#endif /* SCX_SLO_HINTS_BPF_H */

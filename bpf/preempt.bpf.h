/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wake-up preemption: a deadline task that finds no idle CPU kicks one that runs
 * something less urgent. The task stays in its queue, so that nothing is stranded if
 * a realtime task takes that CPU first; whichever CPU is free next takes it.
 */
#ifndef SCX_SLO_PREEMPT_BPF_H
#define SCX_SLO_PREEMPT_BPF_H

#include "task.bpf.h"
#include "tunables.bpf.h"
#include "compat.bpf.h"

/* CPUs sorted by LLC; LLC i owns llc_cpus[i] of them from llc_first[i] on. Filled at init. */
u16 cpus_by_llc[SLO_MAX_CPUS];
u32 llc_first[SLO_MAX_LLCS];
u32 llc_cpus[SLO_MAX_LLCS];

/* In memory, not in a register: the verifier would follow each value of a counter through the loops. */
static u32 cpus_sorted;

static __noinline void sort_cpus_by_llc(void)
{
	int llc, cpu;

	bpf_for(llc, 0, nr_llcs) {
		u32 first = cpus_sorted;

		bpf_for(cpu, 0, nr_cpus) {
			if (llc_of(cpu) != (u32)llc)
				continue;
			cpus_by_llc[MASKED(cpus_sorted, SLO_MAX_CPUS)] = cpu;
			cpus_sorted++;
		}
		llc_first[MASKED(llc, SLO_MAX_LLCS)] = first;
		llc_cpus[MASKED(llc, SLO_MAX_LLCS)] = cpus_sorted - first;
	}
}

/* The LLC's CPUs one after the other, from the one after `cpu`; -1 after the last. */
static __always_inline s32 llc_neighbour(u32 llc, s32 cpu, u32 i)
{
	u32 count = llc_cpus[MASKED(llc, SLO_MAX_LLCS)];
	u32 at;

	if (i >= count)
		return -1;
	at = llc_first[MASKED(llc, SLO_MAX_LLCS)] + ((u32)cpu + 1 + i) % count;
	return cpus_by_llc[MASKED(at, SLO_MAX_CPUS)];
}

/* How good a victim: 0 none, KEY_EMPTY a fair task, else the running task's deadline. */
static __always_inline u64 victim_score(struct cpu_ctx *cpuc, u64 deadline_ns, u64 now)
{
	if (now < cpuc->claimed_until_ns || now < cpuc->protected_until_ns)
		return 0;
	if (cpuc->tier == TIER_FAIR)
		return KEY_EMPTY;
	if (cpuc->tier == TIER_DEADLINE && cpuc->deadline_ns > deadline_ns + preempt_margin_ns)
		return cpuc->deadline_ns;
	return 0;
}

static __always_inline void claim_and_kick(s32 cpu, u64 now)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);

	if (cpuc)
		cpuc->claimed_until_ns = now + claim_ns;
	__sync_fetch_and_add(&health.preempt_kicks, 1);
	scx_bpf_kick_cpu(cpu, KICK_PREEMPT);
}

/* `only`: the CPU of a restricted task's queue, else -1 and any CPU of the LLC will do. */
__noinline int preempt_for(u64 deadline_ns, u32 llc, s32 near_cpu, s32 only, u64 now)
{
	struct cpu_ctx *cpuc;
	u64 best_score = 0, score;
	s32 best = -1;
	int i;

	cpuc = cpu_ctx_of(only >= 0 ? only : near_cpu);
	if (cpuc) {
		best_score = victim_score(cpuc, deadline_ns, now);
		best = only >= 0 ? only : near_cpu;
	}
	if (only < 0 && best_score != KEY_EMPTY) {
		bpf_for(i, 0, victim_scan) {
			s32 cpu = llc_neighbour(llc, near_cpu, i);

			if (cpu < 0)
				break;
			cpuc = cpu_ctx_of(cpu);
			if (!cpuc)
				continue;
			score = victim_score(cpuc, deadline_ns, now);
			if (score > best_score) {
				best_score = score;
				best = cpu;
			}
			if (score == KEY_EMPTY)
				break;
		}
	}
	if (best_score && best >= 0)
		claim_and_kick(best, now);
	return 0;
}

#endif /* SCX_SLO_PREEMPT_BPF_H */

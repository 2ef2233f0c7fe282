/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dispatch queues (DSQs), each kind once per LLC, and once per CPU for tasks with
 * restricted affinity, because a shared queue full of tasks that most CPUs may not run
 * makes every consumer walk them under its lock.
 *
 *   deadline	ordered by absolute deadline
 *   fair	ordered by virtual time
 *   demoted	deadline tasks whose pod is out of credit: they compete as fair work, by
 *		virtual time, and go back to the deadline queue once there is credit
 *   throttled	tasks whose cgroup is out of quota, by when that may run again; one an LLC
 */
#ifndef SCX_SLO_QUEUE_BPF_H
#define SCX_SLO_QUEUE_BPF_H

#include "compat.bpf.h"
#include "task.bpf.h"

#define DSQ_DEADLINE	(1ULL << 32)
#define DSQ_FAIR	(2ULL << 32)
#define DSQ_DEMOTED	(3ULL << 32)
#define DSQ_THROTTLED	(4ULL << 32)
#define DSQ_OF_CPU	(1ULL << 40)

/* The shared queue of a kind, and a CPU's own. */
#define LLC_DSQ(kind, llc)	((kind) | (llc))
#define CPU_DSQ(kind, cpu)	((kind) | DSQ_OF_CPU | (cpu))

#define KEY_EMPTY		(~0ULL)

/* Key of the first task, KEY_EMPTY without one. A hint: another CPU may take it meanwhile. */
__noinline u64 first_key(u64 dsq_id)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 key = KEY_EMPTY;

	bpf_iter_scx_dsq_new(&it, dsq_id, 0);
	p = bpf_iter_scx_dsq_next(&it);
	if (p)
		key = p->scx.dsq_vtime;
	bpf_iter_scx_dsq_destroy(&it);
	return key;
}

static __always_inline u32 waiting_of(const struct waiting *waiting, u64 kind)
{
	return kind == DSQ_FAIR ? READ_ONCE(waiting->fair) : READ_ONCE(waiting->slo);
}

/* Of a kind's shared queue and of a CPU's own; KEY_EMPTY without looking where nothing waits. */
static __always_inline u64 first_of_llc(u64 kind, u32 llc)
{
	return waiting_of(waiting_in(llc), kind) ? first_key(LLC_DSQ(kind, (u64)llc)) : KEY_EMPTY;
}

static __always_inline u64 first_of_cpu(struct cpu_ctx *cpuc, u64 kind, s32 cpu)
{
	return waiting_of(&cpuc->waiting, kind) ? first_key(CPU_DSQ(kind, (u64)cpu)) : KEY_EMPTY;
}

static __noinline s32 create_three(u64 place)
{
	s32 err = scx_bpf_create_dsq(DSQ_DEADLINE | place, -1);

	if (!err)
		err = scx_bpf_create_dsq(DSQ_FAIR | place, -1);
	if (!err)
		err = scx_bpf_create_dsq(DSQ_DEMOTED | place, -1);
	return err;
}

static __noinline s32 create_queues(u32 nr_llcs_now, u32 nr_cpus_now)
{
	s32 err;
	int i;

	bpf_for(i, 0, nr_llcs_now) {
		err = create_three(i);
		if (!err)
			err = scx_bpf_create_dsq(LLC_DSQ(DSQ_THROTTLED, i), -1);
		if (err)
			return err;
	}
	bpf_for(i, 0, nr_cpus_now) {
		err = create_three(DSQ_OF_CPU | i);
		if (err)
			return err;
	}
	return 0;
}

#endif /* SCX_SLO_QUEUE_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dispatch queues (DSQs). Per LLC one deadline and one fair queue; per CPU the same
 * pair for tasks with restricted affinity, because a shared queue full of tasks that
 * most CPUs may not run makes every consumer walk them under its lock. All are
 * ordered: deadline queues by absolute deadline, fair ones by virtual time.
 */
#ifndef SCX_SLO_QUEUE_BPF_H
#define SCX_SLO_QUEUE_BPF_H

#include "compat.bpf.h"

#define DSQ_DEADLINE_LLC	(1ULL << 32)
#define DSQ_FAIR_LLC		(2ULL << 32)
#define DSQ_DEADLINE_CPU	(3ULL << 32)
#define DSQ_FAIR_CPU		(4ULL << 32)

#define KEY_EMPTY		(~0ULL)

/* Key of the first task, KEY_EMPTY without one. A hint: another CPU may take it meanwhile. */
static __noinline u64 first_key(u64 dsq_id)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	u64 key = KEY_EMPTY;

	if (scx_bpf_dsq_nr_queued(dsq_id) <= 0)
		return KEY_EMPTY;
	bpf_iter_scx_dsq_new(&it, dsq_id, 0);
	p = bpf_iter_scx_dsq_next(&it);
	if (p)
		key = p->scx.dsq_vtime;
	bpf_iter_scx_dsq_destroy(&it);
	return key;
}

static __noinline s32 create_queues(u32 nr_llcs_now, u32 nr_cpus_now)
{
	s32 err = 0;
	int i;

	bpf_for(i, 0, nr_llcs_now) {
		err = scx_bpf_create_dsq(DSQ_DEADLINE_LLC | i, -1);
		if (!err)
			err = scx_bpf_create_dsq(DSQ_FAIR_LLC | i, -1);
		if (err)
			return err;
	}
	bpf_for(i, 0, nr_cpus_now) {
		err = scx_bpf_create_dsq(DSQ_DEADLINE_CPU | i, -1);
		if (!err)
			err = scx_bpf_create_dsq(DSQ_FAIR_CPU | i, -1);
		if (err)
			return err;
	}
	return 0;
}

#endif /* SCX_SLO_QUEUE_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sched_ext kfuncs whose name or shape differs between 6.12 and 7.3, each probed
 * by symbol (libbpf drops the ___suffix, and takes a weak symbol with another
 * prototype for absent). Everything that depends on the kernel's release is here.
 */
#ifndef SCX_SLO_COMPAT_BPF_H
#define SCX_SLO_COMPAT_BPF_H

#include "kernel.h"

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags, bool *is_idle) __ksym;
s32 scx_bpf_pick_idle_cpu(const struct cpumask *cpus_allowed, u64 flags) __ksym;
bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;

int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;

bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask) __ksym;
u32 bpf_cpumask_weight(const struct cpumask *cpumask) __ksym;
const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym;
void scx_bpf_put_cpumask(const struct cpumask *cpumask) __ksym;
u32 bpf_cpumask_any_distribute(const struct cpumask *cpumask) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

/* FIFO insert: bool ___v2 since 6.19, void since 6.13, scx_bpf_dispatch in 6.12. */
bool scx_bpf_dsq_insert___v2___compat(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym __weak;
void scx_bpf_dsq_insert___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch___v612(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym __weak;

static __always_inline void dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice_ns, u64 enq_flags)
{
	if (bpf_ksym_exists(scx_bpf_dsq_insert___v2___compat))
		scx_bpf_dsq_insert___v2___compat(p, dsq_id, slice_ns, enq_flags);
	else if (bpf_ksym_exists(scx_bpf_dsq_insert___v1))
		scx_bpf_dsq_insert___v1(p, dsq_id, slice_ns, enq_flags);
	else
		scx_bpf_dispatch___v612(p, dsq_id, slice_ns, enq_flags);
}

/* Ordered insert: an args struct since 6.19, five arguments since 6.13, scx_bpf_dispatch_vtime in 6.12. */
bool __scx_bpf_dsq_insert_vtime(struct task_struct *p, struct scx_bpf_dsq_insert_vtime_args *args) __ksym __weak;
void scx_bpf_dsq_insert_vtime___v1(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime, u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_vtime___v612(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime, u64 enq_flags) __ksym __weak;

static __always_inline void dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice_ns, u64 vtime,
					     u64 enq_flags)
{
	if (bpf_core_type_exists(struct scx_bpf_dsq_insert_vtime_args)) {
		struct scx_bpf_dsq_insert_vtime_args args = {
			.dsq_id = dsq_id,
			.slice = slice_ns,
			.vtime = vtime,
			.enq_flags = enq_flags,
		};

		__scx_bpf_dsq_insert_vtime(p, &args);
	} else if (bpf_ksym_exists(scx_bpf_dsq_insert_vtime___v1)) {
		scx_bpf_dsq_insert_vtime___v1(p, dsq_id, slice_ns, vtime, enq_flags);
	} else {
		scx_bpf_dispatch_vtime___v612(p, dsq_id, slice_ns, vtime, enq_flags);
	}
}

/* Take the first task that may run here: ___v2 since 7.1, plain since 6.13, scx_bpf_consume in 6.12. */
bool scx_bpf_dsq_move_to_local___v2___compat(u64 dsq_id, u64 enq_flags) __ksym __weak;
bool scx_bpf_dsq_move_to_local___v1(u64 dsq_id) __ksym __weak;
bool scx_bpf_consume___v612(u64 dsq_id) __ksym __weak;

static __always_inline bool dsq_move_to_local(u64 dsq_id)
{
	if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v2___compat))
		return scx_bpf_dsq_move_to_local___v2___compat(dsq_id, 0);
	if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v1))
		return scx_bpf_dsq_move_to_local___v1(dsq_id);
	return scx_bpf_consume___v612(dsq_id);
}

/* Move between queues while iterating: scx_bpf_dsq_move* since 6.13, scx_bpf_dispatch_*from_dsq* in 6.12. */
void scx_bpf_dsq_move_set_slice___v1(struct bpf_iter_scx_dsq *it, u64 slice) __ksym __weak;
void scx_bpf_dsq_move_set_vtime___v1(struct bpf_iter_scx_dsq *it, u64 vtime) __ksym __weak;
bool scx_bpf_dsq_move_vtime___v1(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
				 u64 enq_flags) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_slice___v612(struct bpf_iter_scx_dsq *it, u64 slice) __ksym __weak;
void scx_bpf_dispatch_from_dsq_set_vtime___v612(struct bpf_iter_scx_dsq *it, u64 vtime) __ksym __weak;
bool scx_bpf_dispatch_vtime_from_dsq___v612(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
					    u64 enq_flags) __ksym __weak;

/* False: the task is no longer where the iterator found it. */
static __always_inline bool dsq_move_vtime(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
					   u64 slice_ns, u64 vtime)
{
	if (bpf_ksym_exists(scx_bpf_dsq_move_vtime___v1)) {
		scx_bpf_dsq_move_set_slice___v1(it, slice_ns);
		scx_bpf_dsq_move_set_vtime___v1(it, vtime);
		return scx_bpf_dsq_move_vtime___v1(it, p, dsq_id, 0);
	} else {
		scx_bpf_dispatch_from_dsq_set_slice___v612(it, slice_ns);
		scx_bpf_dispatch_from_dsq_set_vtime___v612(it, vtime);
		return scx_bpf_dispatch_vtime_from_dsq___v612(it, p, dsq_id, 0);
	}
}

/* A kfunc since 6.19; a plain store before, which 7.2 logs and cid-form schedulers of 7.3 refuse. */
bool scx_bpf_task_set_slice___compat(struct task_struct *p, u64 slice) __ksym __weak;

static __always_inline void task_set_slice(struct task_struct *p, u64 slice_ns)
{
	if (bpf_ksym_exists(scx_bpf_task_set_slice___compat))
		scx_bpf_task_set_slice___compat(p, slice_ns);
	else
		p->scx.slice = slice_ns;
}

/*
 * Since 6.15 the kernel keeps migration-disabled tasks on their CPU by itself (the
 * flag SCX_OPS_ENQ_MIGRATION_DISABLED turns that off); before, moving one ejects the
 * scheduler. Our own program disables migration of the task it runs on, once.
 */
static __always_inline bool task_pinned_by_kernel(const struct task_struct *p)
{
	if (bpf_core_enum_value_exists(enum scx_ops_flags, SCX_OPS_ENQ_MIGRATION_DISABLED))
		return false;
	if (p->migration_disabled == 1)
		return bpf_get_current_task_btf() != p;
	return p->migration_disabled != 0;
}

/*
 * The CPU's own scheduler clock, read once for several callbacks of one switch (6.14), else
 * CLOCK_MONOTONIC. CPUs may differ by a little: who subtracts must expect a negative result.
 * The two must not be mixed, nor compared with the agent's clock.
 */
u64 scx_bpf_now___compat(void) __ksym __weak;

static __always_inline u64 sched_now(void)
{
	return bpf_ksym_exists(scx_bpf_now___compat) ? scx_bpf_now___compat() : bpf_ktime_get_ns();
}

#define ENQ_WAKEUP	bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_WAKEUP)
#define KICK_IDLE	bpf_core_enum_value(enum scx_kick_flags, SCX_KICK_IDLE)
#define KICK_PREEMPT	bpf_core_enum_value(enum scx_kick_flags, SCX_KICK_PREEMPT)

#endif /* SCX_SLO_COMPAT_BPF_H */

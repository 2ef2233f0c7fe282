// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policy `edf` of the bench, never shipped: plain earliest deadline first, the design
 * that this product grew from. Every task of the node waits in one queue, ordered by
 * its deadline: the moment it was enqueued plus its pod's budget (100 ms without one).
 * A wake-up kicks the CPU that runs the latest deadline. No credit, no weights, no
 * limits, no floor.
 *
 * The same agent loads it in place of the product's scheduler when SCX_SLO_BPF_DIR
 * names its folder, so budgets get here the same way and waits are counted alike.
 */
#include "kernel.h"
#include "compat.bpf.h"
#include "tunables.bpf.h"
#include "maps.bpf.h"
#include "slot.bpf.h"
#include "account.bpf.h"
#include "exit_info.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define DSQ_EDF		1ULL

/* Deadline of work without a budget, from when it is enqueued. */
const volatile u64 default_budget_ns = 100 * NSEC_PER_MSEC;

const volatile u64 slice_ns = 20 * NSEC_PER_MSEC;

struct task_ctx {
	struct slot_cache cache;
	struct burst burst;
	u64 deadline_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} task_ctxs SEC(".maps");

/* Deadline of the task that runs on each CPU; 0: idle, or another class runs there. */
static u64 running_ns[SLO_MAX_CPUS];

static __always_inline struct task_ctx *ctx_of(struct task_struct *p)
{
	return bpf_task_storage_get(&task_ctxs, p, NULL, 0);
}

static __always_inline bool task_account(struct task_struct *p, struct task_ctx *task, struct account *at)
{
	return account_of(p, &task->cache, llc_of(scx_bpf_task_cpu(p)), at);
}

static __always_inline void set_deadline(struct task_struct *p, struct task_ctx *task)
{
	u64 budget_ns = 0;
	struct account at;

	if (task_account(p, task, &at))
		budget_ns = at.slo->budget_ns;
	task->deadline_ns = bpf_ktime_get_ns() + (budget_ns ?: default_budget_ns);
}

/* The CPU that runs the latest deadline after `deadline_ns` and that p may use; -1: none. */
static __noinline s32 latest_cpu(struct task_struct *p, u64 deadline_ns)
{
	u64 latest_ns = deadline_ns;
	s32 latest = -1;
	int cpu;

	bpf_for(cpu, 0, nr_cpus) {
		u64 there_ns = running_ns[MASKED(cpu, SLO_MAX_CPUS)];

		if (there_ns > latest_ns && bpf_cpumask_test_cpu(cpu, p->cpus_ptr)) {
			latest_ns = there_ns;
			latest = cpu;
		}
	}
	return latest;
}

SEC("struct_ops/edf_select_cpu")
s32 BPF_PROG(edf_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_ctx *task = ctx_of(p);
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle && task) {
		set_deadline(p, task);
		dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	}
	return cpu;
}

SEC("struct_ops/edf_enqueue")
void BPF_PROG(edf_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *task = ctx_of(p);
	s32 cpu;

	if (!task) {
		dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
		return;
	}
	set_deadline(p, task);
	dsq_insert_vtime(p, DSQ_EDF, slice_ns, task->deadline_ns, enq_flags);

	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0) {
		scx_bpf_kick_cpu(cpu, KICK_IDLE);
	} else if (enq_flags & ENQ_WAKEUP) {
		cpu = latest_cpu(p, task->deadline_ns);
		if (cpu >= 0) {
			__sync_fetch_and_add(&health.preempt_kicks, 1);
			scx_bpf_kick_cpu(cpu, KICK_PREEMPT);
		}
	}
}

SEC("struct_ops/edf_dispatch")
void BPF_PROG(edf_dispatch, s32 cpu, struct task_struct *prev)
{
	dsq_move_to_local(DSQ_EDF);
}

SEC("struct_ops/edf_runnable")
void BPF_PROG(edf_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *task = ctx_of(p);

	if (task)
		burst_wait_begins(&task->burst, bpf_ktime_get_ns());
}

SEC("struct_ops/edf_running")
void BPF_PROG(edf_running, struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct task_ctx *task = ctx_of(p);
	struct account at;

	if (!task)
		return;
	running_ns[MASKED(cpu, SLO_MAX_CPUS)] = task->deadline_ns;
	if (!task_account(p, task, &at))
		return;
	if (task->burst.wait_since_ns)
		burst_wait_ends(p, &task->burst, at.slo_slot, at.slo, at.st, bpf_ktime_get_ns());
	task->burst.ran_mark_ns = p->se.sum_exec_runtime;
}

SEC("struct_ops/edf_stopping")
void BPF_PROG(edf_stopping, struct task_struct *p, bool runnable)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct task_ctx *task = ctx_of(p);
	struct account at;

	running_ns[MASKED(cpu, SLO_MAX_CPUS)] = 0;
	if (!task || !task_account(p, task, &at))
		return;
	burst_charge(p, &task->burst, at.slo, at.st);
	if (runnable)
		burst_wait_begins(&task->burst, bpf_ktime_get_ns());
}

SEC("struct_ops/edf_quiescent")
void BPF_PROG(edf_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *task = ctx_of(p);
	struct account at;

	if (!task)
		return;
	task->burst.wait_since_ns = 0;
	if (deq_flags & SCX_DEQ_SLEEP)
		burst_ends(&task->burst, task_account(p, task, &at) ? at.st : NULL);
}

SEC("struct_ops.s/edf_init_task")
s32 BPF_PROG(edf_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&task_ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
}

SEC("struct_ops.s/edf_init")
s32 BPF_PROG(edf_init)
{
	return scx_bpf_create_dsq(DSQ_EDF, -1);
}

SEC("struct_ops.s/edf_exit")
void BPF_PROG(edf_exit, struct scx_exit_info *info)
{
	record_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops edf_ops = {
	.select_cpu = (void *)edf_select_cpu,
	.enqueue = (void *)edf_enqueue,
	.dispatch = (void *)edf_dispatch,
	.runnable = (void *)edf_runnable,
	.running = (void *)edf_running,
	.stopping = (void *)edf_stopping,
	.quiescent = (void *)edf_quiescent,
	.init_task = (void *)edf_init_task,
	.init = (void *)edf_init,
	.exit = (void *)edf_exit,
	.timeout_ms = 30000,
	.name = "scx_slo_edf",
};

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Observer: run delay and misses per slot under whatever scheduler the kernel
 * runs, from the scheduler's tracepoints. Any kernel with BTF from 5.15; loads
 * beside sched_ext schedulers, too, so that all are measured alike.
 */
#include "kernel.h"
#include "maps.bpf.h"
#include "slot.bpf.h"
#include "account.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct observed_task {
	struct slot_cache cache;
	struct burst burst;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct observed_task);
} observed_tasks SEC(".maps");

static __always_inline struct observed_task *observed(struct task_struct *p)
{
	return bpf_task_storage_get(&observed_tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline int woken(struct task_struct *p)
{
	struct observed_task *task = observed(p);

	if (task)
		burst_wait_begins(&task->burst, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(observe_wakeup, struct task_struct *p)
{
	return woken(p);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(observe_wakeup_new, struct task_struct *p)
{
	return woken(p);
}

/* prev leaves the CPU: asleep ends its burst, preempted starts another wait. */
static __always_inline void leaves(struct task_struct *p, bool preempted, u64 now)
{
	struct observed_task *task = observed(p);
	struct account at;

	if (!task || !account_of(p, &task->cache, llc_of(bpf_get_smp_processor_id()), &at))
		return;
	burst_charge(p, &task->burst, at.slo, at.st);
	if (preempted || p->__state == TASK_RUNNING)
		burst_wait_begins(&task->burst, now);
	else
		burst_ends(&task->burst, at.st);
}

static __always_inline void arrives(struct task_struct *p, u64 now)
{
	struct observed_task *task = observed(p);
	struct account at;

	if (!task || !account_of(p, &task->cache, llc_of(bpf_get_smp_processor_id()), &at))
		return;
	if (task->burst.wait_since_ns)
		burst_wait_ends(p, &task->burst, at.slo_slot, at.slo, at.st, now);
	task->burst.ran_mark_ns = p->se.sum_exec_runtime;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(observe_switch, bool preempted, struct task_struct *prev, struct task_struct *next)
{
	u64 now = bpf_ktime_get_ns();

	/* pid 0: the idle task of a CPU is not work */
	if (prev->pid)
		leaves(prev, preempted, now);
	if (next->pid)
		arrives(next, now);
	return 0;
}

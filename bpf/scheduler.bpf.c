// SPDX-License-Identifier: GPL-2.0-only
/*
 * scx_slo: two tiers. Pods with an SLO wait in the deadline tier, earliest deadline
 * first, as long as they have credit; everything else is shared by weighted virtual
 * time, with a floor. One source for Linux 6.12 .. 7.3.
 *
 * Reading order: tunables, task, tier (who waits where), enqueue and preempt (how a
 * task gets a CPU), pick (what a CPU runs next), account (waits and misses), watch.
 */
#include "kernel.h"
#include "compat.bpf.h"
#include "tunables.bpf.h"
#include "maps.bpf.h"
#include "slot.bpf.h"
#include "account.bpf.h"
#include "task.bpf.h"
#include "queue.bpf.h"
#include "credit.bpf.h"
#include "tier.bpf.h"
#include "preempt.bpf.h"
#include "promote.bpf.h"
#include "pick.bpf.h"
#include "watch.bpf.h"
#include "exit_info.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* A fair task's slice: a share of the round, within [tick, fair_slice_ns]. */
static __always_inline u64 fair_slice(u32 llc)
{
	u64 waiting = scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_FAIR, llc));
	u64 cpus = llc_cpus[MASKED(llc, SLO_MAX_LLCS)];
	u64 slice_ns = fair_round_ns * (cpus ?: 1) / (waiting + 1);

	if (slice_ns < tick_ns)
		return tick_ns;
	return slice_ns < fair_slice_ns ? slice_ns : fair_slice_ns;
}

/* The queue-side CPU of a restricted task: where it was if it may, else the emptier of two allowed ones. */
static __always_inline s32 home_cpu(struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p), other;

	if (task_pinned_by_kernel(p))
		return cpu;
	if (p->nr_cpus_allowed > 1) {
		other = bpf_cpumask_any_distribute(p->cpus_ptr);
		if ((u32)other < nr_cpus &&
		    (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr) ||
		     fair_backlog(llc_of(other), other) < fair_backlog(llc_of(cpu), cpu)))
			cpu = other;
	} else if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr)) {
		/* a fresh per-CPU kthread may still sit on its parent's CPU */
		cpu = bpf_cpumask_any_distribute(p->cpus_ptr);
	}
	return (u32)cpu < nr_cpus ? cpu : scx_bpf_task_cpu(p);
}

SEC("struct_ops/slo_select_cpu")
s32 BPF_PROG(slo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_ctx *task = ctx_of(p);
	struct slo_policy *policy;
	bool idle = false;
	u32 slot, llc;
	s32 cpu;

	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
	if (!idle || !task)
		return cpu;
	llc = llc_of(cpu);
	slot = slot_of_task(p, &task->cache);
	policy = policy_of(slot);
	if (!policy)
		return cpu;
	choose_tier(p, task, slot, policy, llc, true, bpf_ktime_get_ns());
	dsq_insert(p, SCX_DSQ_LOCAL, task->tier == TIER_DEADLINE ? deadline_slice_ns : fair_slice_ns, 0);
	return cpu;
}

/* A kthread bound to one CPU goes first there, and at once where only a fair task runs. */
static __always_inline void enqueue_bound_kthread(struct task_struct *p, u64 enq_flags)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(scx_bpf_task_cpu(p));
	u64 preempt = cpuc && cpuc->tier == TIER_FAIR ? SCX_ENQ_PREEMPT : 0;

	dsq_insert(p, SCX_DSQ_LOCAL, deadline_slice_ns, enq_flags | preempt);
}

SEC("struct_ops/slo_enqueue")
void BPF_PROG(slo_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *task = ctx_of(p);
	struct slo_policy *policy = NULL;
	u64 now = bpf_ktime_get_ns();
	bool woke = enq_flags & ENQ_WAKEUP;
	bool restricted = is_restricted(p);
	u64 kind, dsq_id;
	u32 slot, llc;
	s32 cpu, idle_cpu;

	if (is_kthread(p) && p->nr_cpus_allowed == 1) {
		if (task)
			task->tier = TIER_DEADLINE;
		enqueue_bound_kthread(p, enq_flags);
		return;
	}
	if (task) {
		slot = slot_of_task(p, &task->cache);
		policy = policy_of(slot);
	}
	if (!task || !policy) {
		/* never lose a task: the kernel's own queue needs nothing of ours */
		dsq_insert(p, SCX_DSQ_GLOBAL, fair_slice_ns, enq_flags);
		return;
	}

	cpu = restricted ? home_cpu(p) : scx_bpf_task_cpu(p);
	llc = llc_of(cpu);
	choose_tier(p, task, slot, policy, llc, woke, now);
	kind = task->tier == TIER_DEADLINE ? DSQ_DEADLINE : task->demoted ? DSQ_DEMOTED : DSQ_FAIR;
	dsq_id = restricted ? CPU_DSQ(kind, cpu) : LLC_DSQ(kind, llc);
	if (task->tier == TIER_DEADLINE)
		dsq_insert_vtime(p, dsq_id, deadline_slice_ns, task->deadline_ns, enq_flags);
	else
		dsq_insert_vtime(p, dsq_id, fair_slice(llc), task->vtime_ns, enq_flags);

	/*
	 * select_cpu is skipped for some wake-ups, and a CPU may have gone idle since it
	 * looked: that one saw empty queues and would sleep on.
	 */
	if (restricted)
		idle_cpu = scx_bpf_test_and_clear_cpu_idle(cpu) ? cpu : -1;
	else
		idle_cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (idle_cpu >= 0) {
		scx_bpf_kick_cpu(idle_cpu, KICK_IDLE);
		return;
	}
	if (task->tier == TIER_DEADLINE)
		preempt_for(task->deadline_ns, llc, cpu, restricted ? cpu : -1, now);
}

/* Bring a running task's account and tier up to date; what a pick compares against. */
static __always_inline void refresh_incumbent(struct task_struct *prev, struct cpu_ctx *cpuc, u32 llc,
					      struct incumbent *inc, u64 now)
{
	struct task_ctx *task = ctx_of(prev);
	struct account at;

	if (!task || !account_of(prev, &task->cache, llc, &at))
		return;
	charge(prev, task, &at, cpuc);
	choose_tier(prev, task, at.slot, at.policy, llc, false, now);
	inc->tier = task->tier;
	inc->key = task->tier == TIER_DEADLINE ? task->deadline_ns : task->vtime_ns;
}

/* The running task goes on: its CPU's record must say so, for victims are chosen by it. */
static __always_inline void keep_running(struct task_struct *prev, struct cpu_ctx *cpuc, struct incumbent *inc,
					 u32 llc)
{
	cpuc->tier = inc->tier;
	cpuc->deadline_ns = inc->key;
	task_set_slice(prev, inc->tier == TIER_DEADLINE ? deadline_slice_ns : fair_slice(llc));
}

SEC("struct_ops/slo_dispatch")
void BPF_PROG(slo_dispatch, s32 cpu, struct task_struct *prev)
{
	struct incumbent inc = { .tier = TIER_NONE, .key = KEY_EMPTY };
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	u64 now = bpf_ktime_get_ns();
	u32 llc = llc_of(cpu);
	bool keep = false;
	u64 backlog;

	if (!cpuc)
		return;
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED))
		refresh_incumbent(prev, cpuc, llc, &inc, now);

	promote(LLC_DSQ(DSQ_DEMOTED, llc), LLC_DSQ(DSQ_DEADLINE, llc), now);
	promote(CPU_DSQ(DSQ_DEMOTED, cpu), CPU_DSQ(DSQ_DEADLINE, cpu), now);
	backlog = fair_backlog(llc, cpu) + (inc.tier == TIER_FAIR);
	if (floor_is_due(cpuc, backlog, now) &&
	    (take_fair(llc, cpu, inc.tier == TIER_FAIR ? inc.key : KEY_EMPTY, &keep) || keep)) {
		floor_is_served(cpuc, now);
		goto out;
	}
	if (take_deadline(llc, cpu, inc.tier == TIER_DEADLINE ? inc.key : KEY_EMPTY, &keep) || keep)
		goto out;
	if (nr_llcs > 1 && steal(llc, false, now))
		return;
	if (take_fair(llc, cpu, inc.tier == TIER_FAIR ? inc.key : KEY_EMPTY, &keep) || keep)
		goto out;
	if (inc.tier == TIER_NONE && nr_llcs > 1)
		steal(llc, true, now);
	else if (inc.tier != TIER_NONE)
		keep = true;
out:
	if (keep && prev)
		keep_running(prev, cpuc, &inc, llc);
}

/* Cut what should not go on to the end of its slice; kicks do the urgent part. */
SEC("struct_ops/slo_tick")
void BPF_PROG(slo_tick, struct task_struct *p)
{
	s32 cpu = bpf_get_smp_processor_id();
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	struct task_ctx *task = ctx_of(p);
	u64 now = bpf_ktime_get_ns();
	struct reservation r;
	struct account at;
	u32 llc = llc_of(cpu);

	if (!cpuc || !task || !account_of(p, &task->cache, llc, &at))
		return;
	charge(p, task, &at, cpuc);

	if (task->tier == TIER_DEADLINE) {
		reservation_of(at.policy, at.slot, &r);
		if ((!is_exempt_from_credit(p) && credit_of(&r, now) <= 0) ||
		    floor_is_due(cpuc, fair_backlog(llc, cpu), now))
			task_set_slice(p, 0);
	} else if (now >= cpuc->protected_until_ns && deadline_work_waits(llc, cpu)) {
		task_set_slice(p, 0);
	}
}

SEC("struct_ops/slo_runnable")
void BPF_PROG(slo_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *task = ctx_of(p);

	if (task)
		burst_wait_begins(&task->burst, bpf_ktime_get_ns());
}

SEC("struct_ops/slo_running")
void BPF_PROG(slo_running, struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	struct task_ctx *task = ctx_of(p);
	u64 now = bpf_ktime_get_ns();
	struct account at;
	u32 llc = llc_of(cpu);

	if (!cpuc || !task || !account_of(p, &task->cache, llc, &at))
		return;
	if (task->burst.wait_since_ns)
		burst_wait_ends(p, &task->burst, at.slot, at.policy, at.st, now);
	task->burst.ran_mark_ns = p->se.sum_exec_runtime;

	cpuc->tier = task->tier;
	cpuc->deadline_ns = task->deadline_ns;
	cpuc->claimed_until_ns = 0;
	if (task->tier == TIER_FAIR)
		advance_fair_clock(llc, task->vtime_ns);
}

SEC("struct_ops/slo_stopping")
void BPF_PROG(slo_stopping, struct task_struct *p, bool runnable)
{
	/* may run on another CPU than the task's (affinity change), so not the current one */
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	struct task_ctx *task = ctx_of(p);
	struct account at;

	if (!cpuc)
		return;
	cpuc->tier = TIER_NONE;
	if (!task || !account_of(p, &task->cache, llc_of(cpu), &at))
		return;
	charge(p, task, &at, cpuc);
	if (!runnable)
		return;
	burst_wait_begins(&task->burst, bpf_ktime_get_ns());
	/*
	 * A realtime task takes over. With slice left the kernel would park p at the head
	 * of the CPU's local queue, in front of any deadline that arrives meanwhile, and
	 * network interrupts make them arrive just then; without, p comes to enqueue.
	 */
	task_set_slice(p, 0);
}

SEC("struct_ops/slo_quiescent")
void BPF_PROG(slo_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *task = ctx_of(p);

	if (!task)
		return;
	task->burst.wait_since_ns = 0;
	if (deq_flags & SCX_DEQ_SLEEP)
		burst_ends(&task->burst, stats_of(slot_of_task(p, &task->cache), llc_of(scx_bpf_task_cpu(p))));
}

SEC("struct_ops/slo_enable")
void BPF_PROG(slo_enable, struct task_struct *p)
{
	struct task_ctx *task = ctx_of(p);

	if (task) {
		task->llc = llc_of(scx_bpf_task_cpu(p));
		task->vtime_ns = fair_clock(task->llc);
	}
}

SEC("struct_ops.s/slo_init_task")
s32 BPF_PROG(slo_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	/* -ENOMEM fails the fork, which is what the kernel does without memory anyway */
	return bpf_task_storage_get(&task_ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
}

SEC("struct_ops.s/slo_init")
s32 BPF_PROG(slo_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 err;

	nr_online_cpus = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);

	err = create_queues(nr_llcs, nr_cpus);
	if (err)
		return err;
	sort_cpus_by_llc();
	start_fair_clocks();
	return start_watch();
}

SEC("struct_ops.s/slo_exit")
void BPF_PROG(slo_exit, struct scx_exit_info *info)
{
	record_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops scx_slo_ops = {
	.select_cpu = (void *)slo_select_cpu,
	.enqueue = (void *)slo_enqueue,
	.dispatch = (void *)slo_dispatch,
	.tick = (void *)slo_tick,
	.runnable = (void *)slo_runnable,
	.running = (void *)slo_running,
	.stopping = (void *)slo_stopping,
	.quiescent = (void *)slo_quiescent,
	.enable = (void *)slo_enable,
	.init_task = (void *)slo_init_task,
	.init = (void *)slo_init,
	.exit = (void *)slo_exit,
	.timeout_ms = 30000,
	.name = "scx_slo",
};

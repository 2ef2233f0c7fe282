// SPDX-License-Identifier: GPL-2.0-only
/*
 * scx_slo: two tiers. Pods with an SLO wait in the deadline tier, earliest deadline
 * first, as long as they have credit; everything else is shared by cpu.weight, with a
 * floor. cpu.max holds for both. One source for Linux 6.12 .. 7.3.
 *
 * Reading order: tunables, task, group (cpu.weight), credit, quota (cpu.max), tier (who
 * waits where), enqueue below and preempt (how a task gets a CPU), pick and promote (what a
 * CPU runs next), account (waits and misses), release and watch (the timers).
 */
#include "kernel.h"
#include "compat.bpf.h"
#include "tunables.bpf.h"
#include "maps.bpf.h"
#include "slot.bpf.h"
#include "account.bpf.h"
#include "task.bpf.h"
#include "queue.bpf.h"
#include "group.bpf.h"
#include "credit.bpf.h"
#include "quota.bpf.h"
#include "tier.bpf.h"
#include "waiting.bpf.h"
#include "preempt.bpf.h"
#include "promote.bpf.h"
#include "pick.bpf.h"
#include "release.bpf.h"
#include "watch.bpf.h"
#include "hints.bpf.h"
#include "exit_info.bpf.h"
#include "dump.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* A fair task's slice: a share of the round, within [half a tick, fair_slice_ns]. */
static __always_inline u64 fair_slice(u32 llc)
{
	u64 waiting = READ_ONCE(waiting_in(llc)->fair);
	u64 cpus = llc_cpus[MASKED(llc, SLO_MAX_LLCS)];
	u64 slice_ns = fair_round_ns * (cpus ?: 1) / (waiting + 1);

	/* slices end at ticks: half a tick is a tick on average */
	if (slice_ns < tick_ns / 2)
		return tick_ns / 2;
	return slice_ns < fair_slice_ns ? slice_ns : fair_slice_ns;
}

static __always_inline u64 slice_of(struct task_ctx *task, u32 llc)
{
	return task->tier == TIER_DEADLINE ? deadline_slice_ns : fair_slice(llc);
}

static __always_inline u32 restricted_load(s32 cpu)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);

	return cpuc ? cpuc->waiting.slo + cpuc->waiting.fair : 0;
}

/* The CPU whose queue a restricted task waits in: idle if there is one, else the emptier of two allowed ones. */
static __always_inline s32 home_cpu(struct task_struct *p, bool *idle)
{
	s32 cpu = scx_bpf_task_cpu(p), other;

	*idle = false;
	if (task_pinned_by_kernel(p))
		return cpu;
	if (p->nr_cpus_allowed > 1) {
		other = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
		if (other >= 0) {
			*idle = true;
			return other;
		}
		other = bpf_cpumask_any_distribute(p->cpus_ptr);
		if ((u32)other < nr_cpus &&
		    (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr) || restricted_load(other) < restricted_load(cpu)))
			cpu = other;
	} else if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr)) {
		/* a fresh per-CPU kthread may still sit on its parent's CPU */
		cpu = bpf_cpumask_any_distribute(p->cpus_ptr);
	}
	if ((u32)cpu >= nr_cpus)
		cpu = scx_bpf_task_cpu(p);
	*idle = scx_bpf_test_and_clear_cpu_idle(cpu);
	return cpu;
}

/* An idle CPU of the LLC, claimed; -1: none. */
__noinline int idle_cpu_near(u32 llc, s32 cpu)
{
	int i;

	if (scx_bpf_test_and_clear_cpu_idle(cpu))
		return cpu;
	bpf_for(i, 0, victim_scan) {
		s32 near = llc_neighbour(llc, cpu, i);

		if (near < 0)
			break;
		if (scx_bpf_test_and_clear_cpu_idle(near))
			return near;
	}
	return -1;
}

SEC("struct_ops/slo_select_cpu")
s32 BPF_PROG(slo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	u64 now = sched_now();
	struct task_ctx *task = ctx_of(p);
	struct account at;
	bool idle = false;
	u32 llc;
	s32 cpu;

	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
	llc = llc_of(cpu);
	if (!idle || !task || !account_of(p, &task->cache, llc, &at) || held_back_until(p, &at, llc, now))
		return cpu;
	choose_tier(p, task, &at, cpu, fair_slice_ns, true, now);
	dsq_insert(p, SCX_DSQ_LOCAL, slice_of(task, llc), 0);
	return cpu;
}

/* A kthread bound to one CPU goes first there, and at once where only a fair task runs. */
static __always_inline void enqueue_bound_kthread(struct task_struct *p, u64 enq_flags)
{
	struct cpu_ctx *cpuc = cpu_ctx_of(scx_bpf_task_cpu(p));
	u64 preempt = cpuc && cpuc->tier == TIER_FAIR ? SCX_ENQ_PREEMPT : 0;

	dsq_insert(p, SCX_DSQ_LOCAL, deadline_slice_ns, enq_flags | preempt);
}

/* cpu.max: not before its cgroup's next period. */
static __always_inline void put_aside(struct task_struct *p, struct task_ctx *task, struct account *at, u32 llc,
				      u64 until_ns, u64 now, u64 enq_flags)
{
	WRITE_ONCE(last_throttle_ns, now);
	__sync_fetch_and_add(&health.throttles, 1);
	burst_throttle_begins(&task->burst, at->st, now);
	task->tier = TIER_FAIR;
	dsq_insert_vtime(p, LLC_DSQ(DSQ_THROTTLED, llc), tick_ns, until_ns, enq_flags);
}

SEC("struct_ops/slo_enqueue")
void BPF_PROG(slo_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *task = ctx_of(p);
	u64 now = sched_now();
	bool woke = enq_flags & ENQ_WAKEUP;
	u64 dsq_id, slice_ns, until_ns;
	bool restricted, idle = false;
	s32 cpu, idle_cpu;
	struct account at;
	u32 llc;

	if (is_kthread(p) && p->nr_cpus_allowed == 1) {
		if (task)
			task->tier = TIER_DEADLINE;
		enqueue_bound_kthread(p, enq_flags);
		return;
	}
	restricted = is_restricted(p);
	cpu = restricted ? home_cpu(p, &idle) : scx_bpf_task_cpu(p);
	llc = llc_of(cpu);
	if (!task || !account_of(p, &task->cache, llc, &at)) {
		/* never lose a task: the kernel's own queues need nothing of ours */
		dsq_insert(p, enq_flags & SCX_ENQ_LAST ? SCX_DSQ_LOCAL : SCX_DSQ_GLOBAL, fair_slice_ns, enq_flags);
		return;
	}
	task->restricted = restricted;
	left_queue(task);
	count_in(task, at.slot);
	until_ns = held_back_until(p, &at, llc, now);
	if (until_ns) {
		put_aside(p, task, &at, llc, until_ns, now, enq_flags);
		return;
	}
	slice_ns = fair_slice(llc);
	choose_tier(p, task, &at, cpu, slice_ns, woke, now);
	if ((enq_flags & SCX_ENQ_LAST) || (!restricted && scx_bpf_test_and_clear_cpu_idle(cpu))) {
		/* the CPU has nothing else: with ENQ_LAST it would sleep beside a queue */
		dsq_insert(p, SCX_DSQ_LOCAL, slice_of(task, llc), enq_flags);
		return;
	}
	joins_queue(task, token_for(task, llc, cpu, at.slot, woke, now));
	dsq_id = queue_of(task, llc, cpu);
	if (task->tier == TIER_DEADLINE) {
		note_importance(llc, at.slo->importance, now);
		dsq_insert_vtime(p, dsq_id, deadline_slice_ns, task->deadline_ns, enq_flags);
	} else {
		dsq_insert_vtime(p, dsq_id, slice_ns, task->vtime_ns, enq_flags);
	}

	/*
	 * select_cpu is skipped for some wake-ups, and a CPU may have gone idle since it
	 * looked: that one saw empty queues and would sleep on.
	 */
	if (restricted) {
		idle_cpu = idle ? cpu : -1;
	} else {
		idle_cpu = idle_cpu_near(llc, cpu);
		if (idle_cpu < 0 && nr_online_cpus > victim_scan)
			idle_cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	}
	if (idle_cpu >= 0) {
		scx_bpf_kick_cpu(idle_cpu, KICK_IDLE);
		return;
	}
	if (task->tier == TIER_DEADLINE)
		preempt_for(task->deadline_ns, llc, cpu, restricted ? cpu : -1, now);
}

/* Bring a running task's account and tier up to date; what a pick compares against. */
static __always_inline void refresh_incumbent(struct task_struct *prev, struct cpu_ctx *cpuc, u32 llc,
					      s32 cpu, struct incumbent *inc, u64 now)
{
	struct task_ctx *task = ctx_of(prev);
	struct account at;

	if (!task || !account_of(prev, &task->cache, llc, &at))
		return;
	charge(prev, task, &at, cpuc, llc, now);
	if (held_back_until(prev, &at, llc, now))
		return;
	keep_place(prev, task, &at, cpu, now);
	inc->tier = task->tier;
	inc->demoted = task->demoted;
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
	u64 now = sched_now();
	u32 llc = llc_of(cpu);
	int pick = PICK_NOTHING;
	u64 backlog;

	if (!cpuc)
		return;
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED))
		refresh_incumbent(prev, cpuc, llc, cpu, &inc, now);

	if (READ_ONCE(waiting_in(llc)->slo))
		promote(LLC_DSQ(DSQ_DEMOTED, llc), LLC_DSQ(DSQ_DEADLINE, llc), llc, now);
	if (READ_ONCE(cpuc->waiting.slo))
		promote(CPU_DSQ(DSQ_DEMOTED, cpu), CPU_DSQ(DSQ_DEADLINE, cpu), llc, now);
	backlog = fair_waiting(cpuc, llc) + (inc.tier == TIER_FAIR && !inc.demoted);
	if (floor_is_due(cpuc, backlog, now)) {
		pick = take_floor(llc, cpu, inc.tier == TIER_FAIR && !inc.demoted ? inc.key : KEY_EMPTY);
		if (pick)
			floor_run_begins(cpuc, now);
	}
	if (!pick && slo_waiting(cpuc, llc))
		pick = take_deadline(llc, cpu, now, inc.tier == TIER_DEADLINE ? inc.key : KEY_EMPTY);
	if (!pick && nr_llcs > 1)
		pick = steal(llc, false, now);
	if (!pick && (nr_llcs > 1 || fair_waiting(cpuc, llc) + slo_waiting(cpuc, llc)))
		pick = take_fair(llc, cpu, inc.tier == TIER_FAIR ? inc.key : KEY_EMPTY);
	if (!pick && inc.tier != TIER_NONE)
		pick = PICK_KEEP;
	if (!pick && !steal_restricted(llc, cpu) && nr_llcs > 1)
		steal(llc, true, now);
	if (pick == PICK_KEEP && prev)
		keep_running(prev, cpuc, &inc, llc);
}

/* Cut what should not go on to the end of its slice; kicks do the urgent part. */
SEC("struct_ops/slo_tick")
void BPF_PROG(slo_tick, struct task_struct *p)
{
	s32 cpu = bpf_get_smp_processor_id();
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	struct task_ctx *task = ctx_of(p);
	u64 now = sched_now();
	struct reservation r;
	struct account at;
	u32 llc = llc_of(cpu);

	if (!cpuc || !task || !account_of(p, &task->cache, llc, &at))
		return;
	charge(p, task, &at, cpuc, llc, now);

	if (held_back_until(p, &at, llc, now)) {
		task_set_slice(p, 0);
	} else if (task->tier == TIER_DEADLINE) {
		reservation_of(at.slo, at.slo_slot, &r);
		if ((!is_exempt_from_credit(p) && credit_of(&r, now) <= 0) ||
		    floor_is_due(cpuc, fair_waiting(cpuc, llc), now))
			task_set_slice(p, 0);
	} else if (now >= cpuc->protected_until_ns && slo_waiting(cpuc, llc)) {
		task_set_slice(p, 0);
	}
}

SEC("struct_ops/slo_runnable")
void BPF_PROG(slo_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *task = ctx_of(p);

	if (!task)
		return;
	count_in(task, slot_of_task(p, &task->cache));
	burst_wait_begins(&task->burst, sched_now());
}

SEC("struct_ops/slo_running")
void BPF_PROG(slo_running, struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	struct task_ctx *task = ctx_of(p);
	u64 now = sched_now();
	struct account at;
	u32 llc = llc_of(cpu);

	if (!cpuc || !task)
		return;
	left_queue(task);
	if (!account_of(p, &task->cache, llc, &at))
		return;
	if (task->burst.wait_since_ns)
		burst_wait_ends(p, &task->burst, at.slo_slot, at.slo, at.st, now);
	task->burst.ran_mark_ns = p->se.sum_exec_runtime;

	cpuc->tier = task->tier;
	cpuc->deadline_ns = task->deadline_ns;
	cpuc->claimed_until_ns = 0;
	if (task->tier == TIER_FAIR) {
		advance_clock(&cpuc->fair_clock_ns, task->base_ns);
		if (!task->restricted)
			advance_clock(&fair_clock_ns, task->base_ns);
	}
	/* its siblings used the quota up while it was queued: it comes back to enqueue at once */
	if (held_back_until(p, &at, llc, now)) {
		task_set_slice(p, 0);
		scx_bpf_kick_cpu(cpu, KICK_PREEMPT);
	}
}

SEC("struct_ops/slo_stopping")
void BPF_PROG(slo_stopping, struct task_struct *p, bool runnable)
{
	/* may run on another CPU than the task's (affinity change), so not the current one */
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);
	struct task_ctx *task = ctx_of(p);
	u64 now = sched_now();
	struct account at;
	u32 llc = llc_of(cpu);

	if (!cpuc)
		return;
	cpuc->tier = TIER_NONE;
	if (!task || !account_of(p, &task->cache, llc, &at))
		return;
	charge(p, task, &at, cpuc, llc, now);
	if (!runnable)
		return;
	burst_wait_begins(&task->burst, now);
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
	struct account at;

	if (!task)
		return;
	count_out(task);
	left_queue(task);
	task->burst.wait_since_ns = 0;
	if (!account_of(p, &task->cache, llc_of(scx_bpf_task_cpu(p)), &at))
		return;
	burst_throttle_ends(&task->burst, at.st, sched_now());
	if (deq_flags & SCX_DEQ_SLEEP)
		burst_ends(&task->burst, at.st);
}

SEC("struct_ops.s/slo_init_task")
s32 BPF_PROG(slo_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *task = bpf_task_storage_get(&task_ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	/* -ENOMEM fails the fork, which is what the kernel does without memory anyway */
	if (!task)
		return -12;
	task->counted_slot = SLO_NO_SLOT;
	return 0;
}

SEC("struct_ops.s/slo_init")
s32 BPF_PROG(slo_init)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 err;

	nr_online_cpus = bpf_cpumask_weight(online);
	scx_bpf_put_cpumask(online);

	floor_share_now = floor_share;
	err = create_queues(nr_llcs, nr_cpus);
	if (err)
		return err;
	sort_cpus_by_llc();
	err = start_quota_timer();
	if (err)
		return err;
	return start_watch();
}

SEC("struct_ops.s/slo_exit")
void BPF_PROG(slo_exit, struct scx_exit_info *info)
{
	record_exit(info);
}

/* The agent takes the richest of these that the kernel knows all members of. */
#define SLO_OPS                                                                                                        \
	.select_cpu = (void *)slo_select_cpu, .enqueue = (void *)slo_enqueue, .dispatch = (void *)slo_dispatch,        \
	.tick = (void *)slo_tick, .runnable = (void *)slo_runnable, .running = (void *)slo_running,                    \
	.stopping = (void *)slo_stopping, .quiescent = (void *)slo_quiescent, .init_task = (void *)slo_init_task,      \
	.dump = (void *)slo_dump, .dump_cpu = (void *)slo_dump_cpu, .dump_task = (void *)slo_dump_task,                \
	.init = (void *)slo_init, .exit = (void *)slo_exit, .flags = SCX_OPS_ENQ_LAST, .timeout_ms = 30000,            \
	.exit_dump_len = SLO_EXIT_DUMP_LEN, .name = "scx_slo"

SEC(".struct_ops.link")
struct sched_ext_ops scx_slo_ops = { SLO_OPS };

SEC(".struct_ops.link")
struct sched_ext_ops scx_slo_ops_weight = {
	SLO_OPS,
	.cgroup_set_weight = (void *)slo_cgroup_set_weight,
};

SEC(".struct_ops.link")
struct sched_ext_ops scx_slo_ops_bandwidth = {
	SLO_OPS,
	.cgroup_set_weight = (void *)slo_cgroup_set_weight,
	.cgroup_set_bandwidth = (void *)slo_cgroup_set_bandwidth,
};

SEC(".struct_ops.link")
struct sched_ext_ops scx_slo_ops_idle = {
	SLO_OPS,
	.cgroup_set_weight = (void *)slo_cgroup_set_weight,
	.cgroup_set_bandwidth = (void *)slo_cgroup_set_bandwidth,
	.cgroup_set_idle = (void *)slo_cgroup_set_idle,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What we know of the node, a CPU and a task, for the kernel's debug dump: it is written
 * when an error ends the scheduler (and on SysRq-D), and the agent keeps it.
 */
#ifndef SCX_SLO_DUMP_BPF_H
#define SCX_SLO_DUMP_BPF_H

#include "queue.bpf.h"
#include "task.bpf.h"
#include "tier.bpf.h"

void scx_bpf_dump_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym;

/* One line of the dump; at least one argument, at most 12. */
#define dump_line(fmt, args...)							\
({										\
	static char ___fmt[] = fmt "\n";					\
	unsigned long long ___param[___bpf_narg(args)];				\
										\
	___bpf_fill(___param, args);						\
	scx_bpf_dump_bstr(___fmt, ___param, sizeof(___param));			\
})

/* Microseconds from now, negative: in the past; 0 stands for "not set". */
static __always_inline s64 us_from(u64 at_ns, u64 now)
{
	if (!at_ns)
		return 0;
	/* the instruction set has no signed division */
	return at_ns >= now ? (s64)((at_ns - now) / NSEC_PER_USEC) : -(s64)((now - at_ns) / NSEC_PER_USEC);
}

SEC("struct_ops/slo_dump")
void BPF_PROG(slo_dump, struct scx_dump_ctx *dump)
{
	int i;

	dump_line("scx_slo: cpus=%u online=%u llcs=%u tick_us=%llu generation=%u heartbeat_us=%lld policy=%d", nr_cpus,
		  nr_online_cpus, nr_llcs, tick_ns / NSEC_PER_USEC, control.generation,
		  us_from(control.heartbeat_ns, dump->at_ns), !policy_is_off);
	dump_line("scx_slo: kicks=%llu floor_picks=%llu stalls=%llu rescues=%llu throttles=%llu demotions=%llu fair_fallbacks=%llu",
		  health.preempt_kicks, health.floor_picks, health.stalls, health.rescues, health.throttles,
		  health.expired_demotions, health.fair_fallbacks);
	bpf_for(i, 0, nr_llcs)
		dump_line("scx_slo: llc %d queues: deadline=%d fair=%d demoted=%d throttled=%d", i,
			  scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_DEADLINE, i)), scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_FAIR, i)),
			  scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_DEMOTED, i)),
			  scx_bpf_dsq_nr_queued(LLC_DSQ(DSQ_THROTTLED, i)));
}

SEC("struct_ops/slo_dump_cpu")
void BPF_PROG(slo_dump_cpu, struct scx_dump_ctx *dump, s32 cpu, bool idle)
{
	s32 deadline = scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_DEADLINE, cpu));
	s32 fair = scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_FAIR, cpu));
	s32 demoted = scx_bpf_dsq_nr_queued(CPU_DSQ(DSQ_DEMOTED, cpu));
	struct cpu_ctx *cpuc = cpu_ctx_of(cpu);

	/* the kernel leaves an idle CPU out, unless we have something to say about it */
	if (!cpuc || (idle && deadline <= 0 && fair <= 0 && demoted <= 0))
		return;
	dump_line("scx_slo: llc=%u tier=%u deadline_us=%lld protected_us=%lld claimed_us=%lld", llc_of(cpu), cpuc->tier,
		  us_from(cpuc->tier == TIER_DEADLINE ? cpuc->deadline_ns : 0, dump->at_ns),
		  us_from(cpuc->protected_until_ns, dump->at_ns), us_from(cpuc->claimed_until_ns, dump->at_ns));
	dump_line("scx_slo: own queues: deadline=%d fair=%d demoted=%d floor_owed_ns=%lld", deadline, fair, demoted,
		  cpuc->floor_owed_ns);
}

SEC("struct_ops/slo_dump_task")
void BPF_PROG(slo_dump_task, struct scx_dump_ctx *dump, struct task_struct *p)
{
	struct task_ctx *task = ctx_of(p);

	if (!task)
		return;
	dump_line("scx_slo: slot=%u tier=%u demoted=%u restricted=%u deadline_us=%lld vtime_us=%llu", task->cache.slot,
		  task->tier, task->demoted, task->restricted, us_from(task->deadline_ns, dump->at_ns),
		  task->vtime_ns / NSEC_PER_USEC);
	dump_line("scx_slo: waiting_since_us=%lld waited_us=%llu allowed_cpus=%d",
		  us_from(task->burst.wait_since_ns, dump->at_ns), task->burst.wait_ns / NSEC_PER_USEC,
		  p->nr_cpus_allowed);
}

#endif /* SCX_SLO_DUMP_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Run delay and misses, the same for observer and scheduler.
 *
 * A burst is one wake-to-sleep span of a task; one that does not sleep is cut
 * after max(budget, 100 ms) of own CPU time. Its wait is the time it was runnable
 * but not running, summed; time held back by cpu.max is kept apart. A miss is a burst
 * whose wait exceeds the budget of its slot (reason throttle: only together with the time
 * held back); own execution never counts. A miss is counted once, when it becomes known.
 */
#ifndef SCX_SLO_ACCOUNT_BPF_H
#define SCX_SLO_ACCOUNT_BPF_H

#include "maps.bpf.h"
#include "slot.bpf.h"

#define BURST_CUT_NS		(100ULL * 1000 * 1000)
#define EVENT_WINDOW_NS		(1000ULL * 1000 * 1000)

/* Miss events a second for one slot. More tells an operator nothing new and costs ring space. */
const volatile u32 slot_events_per_second = 10;

/* Miss events a second for one CPU, whatever the slots: bounds the agent's work. */
const volatile u32 cpu_events_per_second = 1000;

struct burst {
	u64 wait_since_ns;	/* 0: not waiting */
	u64 wait_ns;
	u64 ran_ns;
	u64 ran_mark_ns;	/* sum_exec_runtime up to which ran_ns is counted */
	bool open;
	bool missed;
	bool out_of_credit;	/* waited in the fair tier because its pod's credit was gone */
	bool shed;		/* gave way to more important work that was overdue, too */
	u64 throttled_since_ns;	/* held back by cpu.max; 0: not */
	u64 throttled_ns;
};

/* Per-CPU event budget. */
struct event_bucket {
	u64 window_ns;
	u64 in_window;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct event_bucket);
} event_buckets SEC(".maps");

static __always_inline u32 log2_u64(u64 v)
{
	u32 r, shift;

	r = (v > 0xffffffffULL) << 5;
	v >>= r;
	shift = (v > 0xffff) << 4;
	v >>= shift;
	r |= shift;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	r |= v >> 1;
	return r;
}

/* Bucket 0: < 1 us; then [1, 1.5), [1.5, 2), [2, 3), [3, 4), [4, 6) ... us. */
static __always_inline u32 hist_bucket(u64 wait_ns)
{
	u64 half_us = wait_ns / 500;
	u32 octave, bucket;

	if (half_us < 2)
		return 0;
	octave = log2_u64(half_us);
	bucket = 2 * octave - 1 + ((half_us >> (octave - 1)) & 1);
	return bucket < SLO_HIST_BUCKETS ? bucket : SLO_HIST_BUCKETS - 1;
}

/* One more event within `limit` a window? Off by a few under races, which only shifts a drop. */
static __always_inline bool within_rate(u64 *window_ns, u64 *in_window, u32 limit, u64 now)
{
	if ((s64)(now - *window_ns) >= (s64)EVENT_WINDOW_NS) {
		*window_ns = now;
		*in_window = 0;
	}
	return __sync_fetch_and_add(in_window, 1) < limit;
}

static __always_inline bool may_send(u32 slot, u64 now)
{
	struct slot_state *state = state_of(slot);
	struct event_bucket *cpu;
	u32 zero = 0;

	if (!state || !within_rate(&state->events_window_ns, &state->events_in_window,
				   slot_events_per_second, now))
		return false;
	cpu = bpf_map_lookup_elem(&event_buckets, &zero);
	return cpu && within_rate(&cpu->window_ns, &cpu->in_window, cpu_events_per_second, now);
}

static __always_inline void report_miss(struct task_struct *p, struct burst *burst, u32 slot,
					struct slo_policy *policy, struct slo_stats *st, u64 wait_ns,
					u32 reason, u64 now)
{
	struct slo_miss_event *event;

	burst->missed = true;
	/* keep the bound visible to the verifier: the compiler knows it and would drop the check */
	barrier_var(reason);
	if (reason < SLO_NR_REASONS)
		__sync_fetch_and_add(&st->misses[reason], 1);

	event = may_send(slot, now) ? bpf_ringbuf_reserve(&miss_events, sizeof(*event), 0) : NULL;
	if (!event) {
		__sync_fetch_and_add(&st->events_dropped, 1);
		__sync_fetch_and_add(&health.events_dropped, 1);
		return;
	}
	event->at_ns = bpf_ktime_get_ns();
	event->cgroup_id = policy->cgroup_id;
	event->wait_ns = wait_ns;
	event->budget_ns = policy->budget_ns;
	event->ran_ns = burst->ran_ns;
	event->slot = slot;
	event->pid = p->pid;
	event->cpu = bpf_get_smp_processor_id();
	event->reason = reason;
	__builtin_memcpy(event->comm, p->comm, sizeof(event->comm));
	bpf_ringbuf_submit(event, 0);
}

/* Who is to blame for a wait: the pod that used up its credit, the node's overload, or us. */
static __always_inline u32 blame(const struct burst *burst, u32 ours)
{
	if (burst->shed)
		return SLO_REASON_SHED;
	return burst->out_of_credit ? SLO_REASON_OVER : ours;
}

static __always_inline void burst_wait_begins(struct burst *burst, u64 now)
{
	burst->open = true;
	if (!burst->wait_since_ns)
		burst->wait_since_ns = now;
}

static __always_inline void burst_ends(struct burst *burst, struct slo_stats *st)
{
	if (!burst->open)
		return;
	burst->open = false;
	burst->missed = false;
	burst->out_of_credit = false;
	burst->shed = false;
	burst->throttled_ns = 0;
	burst->wait_ns = 0;
	burst->ran_ns = 0;
	if (st)
		__sync_fetch_and_add(&st->bursts, 1);
}

/* Since then. Clocks of two CPUs may differ by a little: never negative; 0 where `since` is none. */
static __always_inline u64 elapsed_ns(u64 since, u64 now)
{
	return since && now > since ? now - since : 0;
}

/* The wait so far goes to the accounts; returns it. */
static __always_inline u64 take_wait(struct burst *burst, struct slo_stats *st, u64 now)
{
	u64 wait_ns = elapsed_ns(burst->wait_since_ns, now);

	burst->wait_since_ns = 0;
	burst->wait_ns += wait_ns;
	__sync_fetch_and_add(&st->wait_ns, wait_ns);
	return wait_ns;
}

/* The task got a CPU: account the wait that ends here. */
static __always_inline void burst_wait_ends(struct task_struct *p, struct burst *burst, u32 slot,
					    struct slo_policy *policy, struct slo_stats *st, u64 now)
{
	u64 wait_ns = take_wait(burst, st, now);

	__sync_fetch_and_add(&st->hist[hist_bucket(wait_ns)], 1);
	if (burst->wait_ns > st->max_wait_ns)
		st->max_wait_ns = burst->wait_ns;

	if (!policy->budget_ns || burst->missed)
		return;
	if (burst->wait_ns > policy->budget_ns)
		report_miss(p, burst, slot, policy, st, burst->wait_ns, blame(burst, SLO_REASON_SCHED), now);
	else if (burst->wait_ns + burst->throttled_ns > policy->budget_ns)
		report_miss(p, burst, slot, policy, st, burst->wait_ns + burst->throttled_ns,
			    SLO_REASON_THROTTLE, now);
}

/* cpu.max holds the task back: what it waited so far counts, the rest is throttle time. */
static __always_inline void burst_throttle_begins(struct burst *burst, struct slo_stats *st, u64 now)
{
	burst->open = true;
	take_wait(burst, st, now);
	if (!burst->throttled_since_ns)
		burst->throttled_since_ns = now;
}

static __always_inline void burst_throttle_ends(struct burst *burst, struct slo_stats *st, u64 now)
{
	u64 held_ns = elapsed_ns(burst->throttled_since_ns, now);

	if (!burst->throttled_since_ns)
		return;
	burst->throttled_since_ns = 0;
	burst->throttled_ns += held_ns;
	__sync_fetch_and_add(&st->throttled_ns, held_ns);
}

/*
 * CPU time since the last call, from the task's own clock: rq clocks of remote CPUs
 * may be stale. Returns the time charged, in ns.
 */
static __always_inline u64 burst_charge(struct task_struct *p, struct burst *burst, struct slo_policy *policy,
					struct slo_stats *st)
{
	u64 ran = p->se.sum_exec_runtime;
	u64 delta_ns = burst->ran_mark_ns && ran > burst->ran_mark_ns ? ran - burst->ran_mark_ns : 0;
	u64 cut_ns;

	burst->ran_mark_ns = ran;
	if (!delta_ns)
		return 0;
	burst->ran_ns += delta_ns;
	__sync_fetch_and_add(&st->ran_ns, delta_ns);

	cut_ns = policy->budget_ns > BURST_CUT_NS ? policy->budget_ns : BURST_CUT_NS;
	if (burst->ran_ns >= cut_ns) {
		burst_ends(burst, st);
		burst->open = true;
	}
	return delta_ns;
}

#endif /* SCX_SLO_ACCOUNT_BPF_H */

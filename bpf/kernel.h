/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's types as far as this project touches them. libbpf relocates every
 * access by field name against the running kernel's BTF (CO-RE), so a subset in
 * any order serves 5.15 (observer) and 6.12 .. 7.3 (scheduler) alike, and the
 * build needs no kernel's vmlinux.h. Sources: include/linux/{sched,sched/ext,
 * cgroup-defs,kernfs}.h.
 */
#ifndef SCX_SLO_KERNEL_H
#define SCX_SLO_KERNEL_H

/* Newer uapi headers define struct bpf_iter_num, older ones do not: take ours. */
#define bpf_iter_num bpf_iter_num_uapi
#include <linux/bpf.h>
#undef bpf_iter_num
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"

#define READ_ONCE(x)		(*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v)	((*(volatile typeof(x) *)&(x)) = (v))

#define PF_EXITING	0x00000004
#define PF_KTHREAD	0x00200000
#define TASK_RUNNING	0
#define SIGNAL_GROUP_EXIT 0x00000004	/* include/linux/sched/signal.h */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

/* only pointed to; complete, because libbpf compares kfunc prototypes by kind */
struct cpumask {
	unsigned long bits[1];
};

struct sched_ext_entity {
	u32 flags;
	u32 weight;
	u64 slice;
	u64 dsq_vtime;
};

struct signal_struct {
	unsigned int flags;
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	unsigned short migration_disabled;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	struct sched_entity se;
	struct sched_ext_entity scx;
	s32 pid;
	s32 tgid;
	char comm[16];
	struct css_set *cgroups;
	struct signal_struct *signal;
};

/* ---- sched_ext (6.12+): kernel/sched/ext.c, include/linux/sched/ext.h ---- */

struct scx_init_task_args {
	bool fork;
};

enum scx_exit_kind {
	SCX_EXIT_NONE = 0,
};

struct scx_exit_info {
	enum scx_exit_kind kind;
	s64 exit_code;
	const char *reason;
	char *msg;
	char *dump;
};

struct scx_dump_ctx {
	u64 at_ns;
};

struct scx_bpf_dsq_insert_vtime_args {
	u64 dsq_id;
	u64 slice;
	u64 vtime;
	u64 enq_flags;
};

#pragma clang attribute pop

struct bpf_iter_scx_dsq {
	u64 opaque[6];
} __attribute__((aligned(8)));

/*
 * The members that we set; libbpf finds each by name in the kernel's struct.
 * One that an old kernel lacks may be here, but must be left unset there (hints.bpf.h).
 */
struct sched_ext_ops {
	s32 (*select_cpu)(struct task_struct *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dispatch)(s32 cpu, struct task_struct *prev);
	void (*tick)(struct task_struct *p);
	void (*runnable)(struct task_struct *p, u64 enq_flags);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, bool runnable);
	void (*quiescent)(struct task_struct *p, u64 deq_flags);
	void (*enable)(struct task_struct *p);
	s32 (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*cgroup_set_weight)(struct cgroup *cgrp, u32 weight);
	void (*cgroup_set_bandwidth)(struct cgroup *cgrp, u64 period_us, u64 quota_us, u64 burst_us);
	void (*cgroup_set_idle)(struct cgroup *cgrp, bool idle);
	void (*dump)(struct scx_dump_ctx *ctx);
	void (*dump_cpu)(struct scx_dump_ctx *ctx, s32 cpu, bool idle);
	void (*dump_task)(struct scx_dump_ctx *ctx, struct task_struct *p);
	s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	u64 flags;
	u32 timeout_ms;
	u32 exit_dump_len;
	u64 hotplug_seq;
	char name[128];
};

/*
 * Enumerators below 2^32 are relocated, because some moved between releases; those
 * above never did, and some vendors' BTF truncates them.
 */
enum scx_enq_flags {
	SCX_ENQ_WAKEUP = 1,
};

enum scx_ops_flags {
	SCX_OPS_ENQ_LAST = 2,
	SCX_OPS_ENQ_MIGRATION_DISABLED = 16,
};

enum scx_deq_flags {
	SCX_DEQ_SLEEP = 1,
};

enum scx_kick_flags {
	SCX_KICK_IDLE = 1,
	SCX_KICK_PREEMPT = 2,
};

#define SCX_ENQ_PREEMPT		(1ULL << 32)
#define SCX_ENQ_LAST		(1ULL << 41)
#define SCX_DSQ_ITER_REV	(1ULL << 16)
#define SCX_DSQ_FLAG_BUILTIN	(1ULL << 63)
#define SCX_DSQ_GLOBAL		(SCX_DSQ_FLAG_BUILTIN | 1)
#define SCX_DSQ_LOCAL		(SCX_DSQ_FLAG_BUILTIN | 2)
#define SCX_TASK_QUEUED		1u

#endif /* SCX_SLO_KERNEL_H */

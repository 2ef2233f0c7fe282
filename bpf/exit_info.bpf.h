/* SPDX-License-Identifier: GPL-2.0-only */
/* Why the kernel ended the scheduler, readable by the agent through a plain data section. */
#ifndef SCX_SLO_EXIT_INFO_BPF_H
#define SCX_SLO_EXIT_INFO_BPF_H

#include "kernel.h"

struct slo_exit exit_info SEC(".data.exit");

/* Apart from the record: only errors have a dump, and the agent polls the record. */
char exit_dump[SLO_EXIT_DUMP_LEN] SEC(".data.dump");

static __always_inline void record_exit(struct scx_exit_info *info)
{
	bpf_probe_read_kernel_str(exit_info.reason, sizeof(exit_info.reason), info->reason);
	bpf_probe_read_kernel_str(exit_info.msg, sizeof(exit_info.msg), info->msg);
	if (bpf_core_field_exists(info->exit_code))
		exit_info.exit_code = info->exit_code;
	if (info->dump)
		bpf_probe_read_kernel_str(exit_dump, sizeof(exit_dump), info->dump);
	/* last and atomically: the agent takes a non-zero kind for a complete record */
	__sync_val_compare_and_swap(&exit_info.kind, exit_info.kind, info->kind);
}

#endif /* SCX_SLO_EXIT_INFO_BPF_H */

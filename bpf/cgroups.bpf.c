// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the agent of every cgroup v2 directory that appears or goes, at once and
 * without inotify watches; losses are counted, and the agent then walks the tree.
 */
#include "kernel.h"

char LICENSE[] SEC("license") = "GPL";

struct slo_health health SEC(".data.health");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} cgroup_events SEC(".maps");

/* 600 bytes do not fit on the BPF stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct slo_cgroup_event);
} scratch SEC(".maps");

static __always_inline int tell(struct cgroup *cgrp, const char *path, u32 change)
{
	struct slo_cgroup_event *event;
	u32 zero = 0;
	long length;

	/* v1 hierarchies fire too; v2's is set up first and so has id 0 (proc/self/cgroup: "0::/") */
	if (cgrp->root->hierarchy_id)
		return 0;
	event = bpf_map_lookup_elem(&scratch, &zero);
	if (!event)
		return 0;
	length = bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);
	if (length <= 0 || length > SLO_PATH_MAX) {
		__sync_fetch_and_add(&health.cgroup_events_dropped, 1);
		return 0;
	}
	event->id = cgrp->kn->id;
	event->change = change;
	event->level = cgrp->level;
	event->path_len = length - 1;
	if (bpf_ringbuf_output(&cgroup_events, event,
			       __builtin_offsetof(struct slo_cgroup_event, path) + length, 0))
		__sync_fetch_and_add(&health.cgroup_events_dropped, 1);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_created, struct cgroup *cgrp, const char *path)
{
	return tell(cgrp, path, SLO_CGROUP_CREATED);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_removed, struct cgroup *cgrp, const char *path)
{
	return tell(cgrp, path, SLO_CGROUP_REMOVED);
}

// SPDX-License-Identifier: GPL-2.0-only
/* Tells the agent who it is: in a container, its own process id is another than the kernel's. Run, never attached. */
#include "kernel.h"

char LICENSE[] SEC("license") = "GPL";

SEC("syscall")
int own_tgid(void *ctx)
{
	return bpf_get_current_pid_tgid() >> 32;
}

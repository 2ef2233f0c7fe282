/** What `scx-slo config init` writes. Every line is a comment: a fresh file changes nothing on the node. */
export const CONFIG_TEMPLATE = `# scx-slo: latency budgets by cgroup, for nodes without Kubernetes.
#
# One rule a line, fields separated by blanks:
#
#   cgroup_path   from the root of the cgroup v2 hierarchy (/sys/fs/cgroup), without "." and ".."
#   budget_ms     1 .. 10000 milliseconds, up to three decimals: how long a task of this cgroup may be
#                 runnable without running, summed from its wake-up until it sleeps again
#   importance    1 .. 100, higher is more important: who keeps its promise when not all fit
#
# A cgroup without a rule is ordinary work and shares what is left by cpu.weight. A cgroup that does not exist
# yet is looked for again. The file is reloaded when it changes; a bad line is reported with its position, the
# other lines load. Check it with: scx-slo config check FILE
#
# cgroup_path                         budget_ms  importance
#/kubepods/critical/payment-api       50         90
#/system.slice/nginx.service          20         70
#/system.slice/postgresql.service     2.5        80
`;

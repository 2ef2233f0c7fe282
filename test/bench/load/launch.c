/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * launch LIST: runs every program of LIST, one a line: the directory of its cgroup,
 * then the subcommand and its arguments, separated by single spaces. Each child joins
 * its cgroup before it does anything, and ends with this program. Prints `started`;
 * ends when all have ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define WORDS_MAX	16

static void join_cgroup(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

/*
 * A child that is born in the cgroup: a move there would wait for an RCU grace period,
 * which a thousand children on sixteen emulated CPUs would feel. Negative: refused.
 */
static pid_t fork_into(const char *dir)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid_t child;

	if (fd < 0)
		return -1;
	args.cgroup = (uint64_t)fd;
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	close(fd);
	return child;
}

static void start(char *line)
{
	char *words[WORDS_MAX + 1] = { 0 }, *rest = line;
	int count = 0;
	pid_t child;

	line[strcspn(line, "\n")] = '\0';
	while (count < WORDS_MAX && (words[count] = strsep(&rest, " ")))
		count++;
	if (count < 2)
		die("a line of the list has no program: %s", line);
	fflush(stdout);
	child = fork_into(words[0]);
	if (child < 0) {
		/* no such system call, or no cgroup v2 */
		child = fork();
		if (child == 0)
			join_cgroup(words[0]);
	}
	if (child < 0)
		die("cannot fork: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		exit(run_command(count - 1, words + 1));
	}
}

int launch_main(int argc, char **argv)
{
	char line[PATH_MAX * 2];
	int status, failed = 0;
	FILE *list;

	if (argc != 2)
		die("usage: launch LIST");
	list = fopen(argv[1], "re");
	if (!list)
		die("%s: %s", argv[1], strerror(errno));
	while (fgets(line, sizeof(line), list))
		start(line);
	fclose(list);
	puts("started");
	fflush(stdout);
	while (wait(&status) > 0)
		if (WIFEXITED(status) && WEXITSTATUS(status))
			failed = 1;
	return failed;
}

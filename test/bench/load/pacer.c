/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pacer SETTLE_MS FROM_MS TO_MS GRACE_MS ACCOUNTS OUT FILE...
 *
 * Hands out the requests of all schedules among FILE... at their times, as one
 * realtime thread above everything that the scheduler under test decides about, and
 * reads the accounts (files named in ACCOUNTS, one a line, such as cpu.stat) at the
 * two ends of the window into OUT. FILE... that are progress files get their window.
 *
 * Times count from the first intended start, SETTLE_MS after this program is ready.
 * Prints `ready`, `soon` (half a second before the window), `from`, `to` and `end`.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

/* Above the scheduler under test, below the kernel's own realtime threads. */
#define PACER_PRIORITY	50
#define SOON_NS		(500 * NSEC_PER_MSEC)
#define ACCOUNTS_MAX	4096
#define ACCOUNT_BYTES	512

struct due {
	uint64_t at_ns;		/* from origin */
	uint64_t order;		/* keeps equal times in the order of the files */
	struct schedule_worker *worker;
};

enum mark { SOON, FROM, TO, END, MARKS };
static const char *const mark_names[MARKS] = { "soon", "from", "to", "end" };

struct account {
	char *path;
	int fd;
	char text[2][ACCOUNT_BYTES];
};

static struct schedule **schedules;
static struct progress_file **progresses;
static uint32_t schedule_count, progress_count;
static struct account *accounts;
static uint32_t account_count;
static uint64_t snapshot_ns[2];

static int by_time(const void *a, const void *b)
{
	const struct due *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static struct due *merge(size_t *count)
{
	struct due *dues;
	size_t n = 0;

	for (uint32_t s = 0; s < schedule_count; s++)
		for (uint32_t w = 0; w < schedules[s]->workers; w++)
			n += schedules[s]->worker[w].count;
	dues = malloc((n + 1) * sizeof(*dues));
	if (!dues)
		die("no memory for %zu requests", n);
	n = 0;
	for (uint32_t s = 0; s < schedule_count; s++) {
		struct request *requests = (void *)((char *)schedules[s] + schedules[s]->requests_at);

		for (uint32_t w = 0; w < schedules[s]->workers; w++) {
			struct schedule_worker *worker = &schedules[s]->worker[w];

			for (uint64_t i = 0; i < worker->count; i++, n++) {
				dues[n].at_ns = requests[worker->first + i].at_ns;
				dues[n].order = n;
				dues[n].worker = worker;
			}
		}
	}
	qsort(dues, n, sizeof(*dues), by_time);
	*count = n;
	return dues;
}

static void read_accounts_list(const char *path)
{
	char line[PATH_MAX];
	FILE *list = fopen(path, "re");

	if (!list)
		die("%s: %s", path, strerror(errno));
	accounts = calloc(ACCOUNTS_MAX, sizeof(*accounts));
	while (accounts && fgets(line, sizeof(line), list)) {
		struct account *account = &accounts[account_count];

		line[strcspn(line, "\n")] = '\0';
		if (account_count == ACCOUNTS_MAX)
			die("%s lists more than %d files", path, ACCOUNTS_MAX);
		account->path = strdup(line);
		account->fd = open(line, O_RDONLY | O_CLOEXEC);
		if (account->fd < 0)
			die("%s: %s", line, strerror(errno));
		account_count++;
	}
	fclose(list);
}

static void snapshot(int end)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	snapshot_ns[end] = now;
	for (uint32_t i = 0; i < progress_count; i++) {
		struct progress_file *file = progresses[i];

		for (uint32_t t = 0; t < file->threads; t++) {
			struct progress *thread = &file->thread[t];
			uint64_t since = thread->last_ns > file->from_ns ? thread->last_ns : file->from_ns;

			if (end == 0) {
				thread->from_count = thread->count;
				continue;
			}
			thread->to_count = thread->count;
			thread->window_gap_ns = thread->max_gap_ns;
			if (now > since && now - since > thread->window_gap_ns)
				thread->window_gap_ns = now - since;
		}
		__atomic_store_n(end ? &file->to_ns : &file->from_ns, now, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < account_count; i++) {
		ssize_t got = pread(accounts[i].fd, accounts[i].text[end], ACCOUNT_BYTES - 1, 0);

		accounts[i].text[end][got > 0 ? got : 0] = '\0';
	}
}

static void write_result(const char *path, uint64_t max_late_ns)
{
	FILE *out = fopen(path, "we");

	if (!out)
		die("%s: %s", path, strerror(errno));
	fprintf(out, "window %llu %llu\nmax_late %llu\n", (unsigned long long)snapshot_ns[0],
		(unsigned long long)snapshot_ns[1], (unsigned long long)max_late_ns);
	for (uint32_t i = 0; i < account_count; i++)
		for (int end = 0; end < 2; end++)
			fprintf(out, "account %d %s\n%s\n", end, accounts[i].path, accounts[i].text[end]);
	if (fclose(out))
		die("%s: %s", path, strerror(errno));
}

static void reach(enum mark mark)
{
	if (mark == FROM || mark == TO)
		snapshot(mark == TO);
	puts(mark_names[mark]);
	fflush(stdout);
}

static void hand_out(struct due *due, uint64_t origin_ns, uint64_t *max_late_ns)
{
	uint64_t at_ns = origin_ns + due->at_ns, now;

	__atomic_add_fetch(&due->worker->due, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &due->worker->due, FUTEX_WAKE, 1, NULL, NULL, 0);
	now = now_ns(CLOCK_MONOTONIC);
	if (now > at_ns && now - at_ns > *max_late_ns)
		*max_late_ns = now - at_ns;
}

static void open_files(int count, char **paths)
{
	schedules = calloc((size_t)count + 1, sizeof(*schedules));
	progresses = calloc((size_t)count + 1, sizeof(*progresses));
	if (!schedules || !progresses)
		die("no memory");
	for (int i = 0; i < count; i++) {
		size_t length;
		void *memory = map_file(paths[i], &length);
		uint64_t magic = length >= sizeof(magic) ? *(uint64_t *)memory : 0;

		if (magic == SCHEDULE_MAGIC)
			schedules[schedule_count++] = memory;
		else if (magic == PROGRESS_MAGIC)
			progresses[progress_count++] = memory;
		else
			die("%s is neither a schedule nor a progress file", paths[i]);
	}
}

int pacer_main(int argc, char **argv)
{
	struct sched_param priority = { .sched_priority = PACER_PRIORITY };
	uint64_t marks[MARKS], settle_ns, origin_ns, max_late_ns = 0;
	struct due *dues;
	size_t count, next = 0;

	if (argc < 7)
		die("usage: pacer SETTLE_MS FROM_MS TO_MS GRACE_MS ACCOUNTS OUT FILE...");
	settle_ns = number(argv[1], "time") * NSEC_PER_MSEC;
	marks[FROM] = number(argv[2], "time") * NSEC_PER_MSEC;
	marks[TO] = number(argv[3], "time") * NSEC_PER_MSEC;
	marks[END] = marks[TO] + number(argv[4], "time") * NSEC_PER_MSEC;
	marks[SOON] = marks[FROM] > SOON_NS ? marks[FROM] - SOON_NS : 0;
	read_accounts_list(argv[5]);
	open_files(argc - 7, argv + 7);
	dues = merge(&count);
	if (sched_setscheduler(0, SCHED_FIFO, &priority))
		die("cannot become a realtime thread: %s", strerror(errno));
	mlockall(MCL_CURRENT | MCL_FUTURE);
	puts("ready");
	fflush(stdout);

	origin_ns = now_ns(CLOCK_MONOTONIC) + settle_ns;
	for (uint32_t s = 0; s < schedule_count; s++)
		__atomic_store_n(&schedules[s]->origin_ns, origin_ns, __ATOMIC_RELEASE);
	for (enum mark mark = SOON; mark < MARKS; mark++) {
		for (; next < count && dues[next].at_ns < marks[mark]; next++) {
			sleep_until(origin_ns + dues[next].at_ns);
			hand_out(&dues[next], origin_ns, &max_late_ns);
		}
		sleep_until(origin_ns + marks[mark]);
		reach(mark);
	}
	write_result(argv[6], max_late_ns);
	return 0;
}

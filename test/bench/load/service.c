/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service SCHEDULE: one worker thread for each worker of the schedule. A worker
 * sleeps until the pacer says that a request is due, works off what is due in
 * order, and notes when each was done. Requests that come meanwhile queue up: none
 * is left out, so a slow service cannot hide its own queue.
 */
#include <linux/futex.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench.h"

static struct schedule *schedule;

static void *work(void *argument)
{
	struct schedule_worker *worker = argument;
	struct request *requests = (struct request *)((char *)schedule + schedule->requests_at) + worker->first;
	volatile uint32_t sink = 0;
	uint32_t served = 0;

	for (;;) {
		while (__atomic_load_n(&worker->due, __ATOMIC_ACQUIRE) == served)
			syscall(SYS_futex, &worker->due, FUTEX_WAIT, served, NULL, NULL, 0);
		sink = burn(schedule->turns, sink);
		requests[served].done_ns = now_ns(CLOCK_MONOTONIC);
		__atomic_store_n(&worker->served, ++served, __ATOMIC_RELEASE);
	}
	return NULL;
}

int service_main(int argc, char **argv)
{
	if (argc != 2)
		die("usage: service SCHEDULE");
	schedule = open_schedule(argv[1]);
	for (uint32_t i = 1; i < schedule->workers; i++)
		start_thread(work, &schedule->worker[i]);
	work(&schedule->worker[0]);
	return 0;
}

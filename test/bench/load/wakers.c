/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wakers PROGRESS THREADS PERIOD_US TURNS: threads that wake at fixed times, one
 * period apart, burn TURNS and sleep again; counted in wake-ups. A thread that is
 * late skips the times that have passed, because it did not sleep for them. The gap is
 * how long after its time a thread ran. Long periods make mostly idle threads.
 */
#include "bench.h"

static struct progress_file *file;
static uint64_t begin_ns, period_ns, turns;

/* Spreads the threads over the period, in an order that neighbours do not share. */
static uint64_t phase_ns(uint32_t index)
{
	return (uint64_t)(index * 2654435761U) * period_ns >> 32;
}

static void *wake(void *argument)
{
	struct progress *thread = argument;
	uint64_t at_ns = begin_ns + phase_ns((uint32_t)(thread - file->thread));
	volatile uint32_t sink = 0;

	for (;;) {
		uint64_t now;

		sleep_until(at_ns);
		note_gap(file, thread, at_ns, now_ns(CLOCK_MONOTONIC));
		thread->count++;
		sink = burn(turns, sink);
		now = now_ns(CLOCK_MONOTONIC);
		do
			at_ns += period_ns;
		while (at_ns <= now);
	}
	return NULL;
}

int wakers_main(int argc, char **argv)
{
	if (argc != 5)
		die("usage: wakers PROGRESS THREADS PERIOD_US TURNS");
	file = make_progress(argv[1], (uint32_t)number(argv[2], "number of threads"));
	period_ns = number(argv[3], "period") * 1000;
	turns = number(argv[4], "number of turns");
	begin_ns = now_ns(CLOCK_MONOTONIC) + period_ns;
	for (uint32_t i = 1; i < file->threads; i++)
		start_thread(wake, &file->thread[i]);
	wake(&file->thread[0]);
	return 0;
}

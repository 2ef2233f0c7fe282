/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hog PROGRESS THREADS: busy threads without end. Each counts its turns and looks at
 * the clock now and then: what it misses between two looks is time off the CPU.
 */
#include "bench.h"

/* Between two looks: some 20 us on a current CPU, 120 us on an emulated one. */
#define TURNS_PER_LOOK	10000

static struct progress_file *file;

static void *spin(void *argument)
{
	struct progress *thread = argument;
	volatile uint32_t sink = 0;

	thread->last_ns = now_ns(CLOCK_MONOTONIC);
	for (;;) {
		uint64_t since = thread->last_ns;

		sink = burn(TURNS_PER_LOOK, sink);
		note_gap(file, thread, since, now_ns(CLOCK_MONOTONIC));
		thread->count += TURNS_PER_LOOK;
	}
	return NULL;
}

int hog_main(int argc, char **argv)
{
	if (argc != 3)
		die("usage: hog PROGRESS THREADS");
	file = make_progress(argv[1], (uint32_t)number(argv[2], "number of threads"));
	for (uint32_t i = 1; i < file->threads; i++)
		start_thread(spin, &file->thread[i]);
	spin(&file->thread[0]);
	return 0;
}

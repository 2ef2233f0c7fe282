/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calibrate: prints the CPU time of a million turns in nanoseconds, the smallest of
 * several measurements, for a node that has nothing else to do.
 */
#include <stdio.h>
#include "bench.h"

#define TURNS	2000000ULL
#define ROUNDS	7

int calibrate_main(int argc, char **argv)
{
	volatile uint32_t sink = 0;
	uint64_t best_ns = UINT64_MAX;

	(void)argv;
	if (argc != 1)
		die("usage: calibrate");
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID), took;

		sink = burn(TURNS, sink);
		took = now_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		if (took < best_ns)
			best_ns = took;
	}
	printf("%llu\n", (unsigned long long)(best_ns * 1000000ULL / TURNS));
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the load programs share: memory layouts (also read and written by
 * test/bench/node/load-files.ts), clocks, and work of a fixed size.
 * Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define NSEC_PER_MSEC	1000000ULL
#define NSEC_PER_SEC	1000000000ULL

/* A service's requests, one file each: made before the service starts, filled in by it. */
#define SCHEDULE_MAGIC	0x31444548435331ULL

struct request {
	uint64_t at_ns;		/* intended start, from origin_ns */
	uint64_t done_ns;	/* absolute; 0: not done */
};

struct schedule_worker {
	uint32_t due;		/* futex: requests handed to this worker so far; written by the pacer */
	uint32_t served;	/* written by the worker */
	uint64_t first;		/* index of its first request */
	uint64_t count;		/* its requests, rising by at_ns */
	uint64_t reserved[5];	/* a cache line of its own */
};

struct schedule {
	uint64_t magic;
	uint32_t workers;
	uint32_t reserved0;
	uint64_t turns;		/* of the loop, for each request */
	uint64_t origin_ns;	/* written by the pacer */
	uint64_t requests_at;	/* offset in bytes of the first struct request */
	uint64_t reserved[3];
	struct schedule_worker worker[];
};

/* What a program's threads did, one file a program. */
#define PROGRESS_MAGIC	0x31474f525031ULL

struct progress {
	uint64_t count;		/* turns, round trips, messages or wake-ups; only grows */
	uint64_t last_ns;	/* when the thread last looked at the clock */
	uint64_t max_gap_ns;	/* longest time off the CPU in the window, as far as the thread knows */
	uint64_t from_count;	/* written by the pacer at the two ends of the window */
	uint64_t to_count;
	uint64_t window_gap_ns;	/* the longest, including one that still lasted at the window's end */
	uint64_t reserved[2];
};

struct progress_file {
	uint64_t magic;
	uint32_t threads;
	uint32_t reserved0;
	uint64_t from_ns;	/* 0: the window has not begun */
	uint64_t to_ns;		/* 0: the window has not ended */
	uint64_t reserved[4];
	struct progress thread[];
};

static inline uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Sleeps until an absolute time. */
static inline void sleep_until(uint64_t at_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(at_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(at_ns % NSEC_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

/* Counted in turns, not in time: a loop that watches a clock would shrink when it is preempted. */
static inline uint32_t burn(uint64_t turns, uint32_t mixed)
{
	while (turns--) {
		mixed = (mixed ^ (mixed >> 15)) * 0x2c1b3c6dU ^ (uint32_t)turns;
		/* the compiler must not fold the loop */
		__asm__ volatile("" : "+r"(mixed));
	}
	return mixed;
}

/* From now on `thread` was away for `gap_ns`, seen at `now`. */
static inline void note_gap(struct progress_file *file, struct progress *thread, uint64_t since_ns,
			    uint64_t now)
{
	uint64_t from_ns = __atomic_load_n(&file->from_ns, __ATOMIC_RELAXED);
	uint64_t gap_ns;

	thread->last_ns = now;
	if (!from_ns || now <= from_ns)
		return;
	gap_ns = now - (since_ns > from_ns ? since_ns : from_ns);
	if (since_ns < now && gap_ns > thread->max_gap_ns)
		thread->max_gap_ns = gap_ns;
}

/* support.c; all of these end the program with a message when they fail */
_Noreturn void die(const char *format, ...);
uint64_t number(const char *text, const char *what);
void *map_file(const char *path, size_t *length);
struct schedule *open_schedule(const char *path);
struct progress_file *make_progress(const char *path, uint32_t threads);
struct progress_file *open_progress(const char *path);
void start_thread(void *(*body)(void *), void *argument);
_Noreturn void wait_for_ever(void);

/* One file each; argv[0] is the subcommand's name. */
int service_main(int argc, char **argv);
int pacer_main(int argc, char **argv);
int hog_main(int argc, char **argv);
int pingpong_main(int argc, char **argv);
int messaging_main(int argc, char **argv);
int wakers_main(int argc, char **argv);
int calibrate_main(int argc, char **argv);
int launch_main(int argc, char **argv);

/* main.c; also called by `launch` in each of its children */
int run_command(int argc, char **argv);

#endif /* BENCH_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pingpong PROGRESS PAIRS: each pair of threads sends one byte back and forth
 * through two pipes; counted in round trips.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"

struct pair {
	struct progress *progress;
	int ping[2], pong[2];
};

static void pass(int fd, char *byte, ssize_t (*move)(int, char *))
{
	if (move(fd, byte) != 1)
		die("a pipe broke: %s", strerror(errno));
}

static ssize_t take(int fd, char *byte)
{
	return read(fd, byte, 1);
}

static ssize_t give(int fd, char *byte)
{
	return write(fd, byte, 1);
}

static void *echo(void *argument)
{
	struct pair *pair = argument;
	char byte;

	for (;;) {
		pass(pair->ping[0], &byte, take);
		pass(pair->pong[1], &byte, give);
	}
	return NULL;
}

static void *serve(void *argument)
{
	struct pair *pair = argument;
	char byte = 'x';

	for (;;) {
		pass(pair->ping[1], &byte, give);
		pass(pair->pong[0], &byte, take);
		pair->progress->count++;
		pair->progress->last_ns = now_ns(CLOCK_MONOTONIC);
	}
	return NULL;
}

int pingpong_main(int argc, char **argv)
{
	struct progress_file *file;
	struct pair *pairs;
	uint32_t count;

	if (argc != 3)
		die("usage: pingpong PROGRESS PAIRS");
	count = (uint32_t)number(argv[2], "number of pairs");
	file = make_progress(argv[1], count);
	pairs = calloc(count, sizeof(*pairs));
	for (uint32_t i = 0; pairs && i < count; i++) {
		pairs[i].progress = &file->thread[i];
		if (pipe(pairs[i].ping) || pipe(pairs[i].pong))
			die("no pipes: %s", strerror(errno));
		start_thread(echo, &pairs[i]);
		start_thread(serve, &pairs[i]);
	}
	wait_for_ever();
}

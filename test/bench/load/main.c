/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-load: the load of `make bench`. In C and static, because thousands of threads
 * and microseconds must cost next to nothing in an emulated machine. Work is counted
 * in turns of a loop; nothing here looks at a clock to decide how much to do.
 */
#include <stdio.h>
#include <string.h>
#include "bench.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "service", service_main },
	{ "pacer", pacer_main },
	{ "hog", hog_main },
	{ "pingpong", pingpong_main },
	{ "messaging", messaging_main },
	{ "wakers", wakers_main },
	{ "calibrate", calibrate_main },
	{ "launch", launch_main },
};

int run_command(int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].main(argc, argv);
	die("no such command: %s", argc > 0 ? argv[0] : "(none)");
}

int main(int argc, char **argv)
{
	return run_command(argc - 1, argv + 1);
}

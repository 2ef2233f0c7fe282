/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * messaging PROGRESS GROUPS MEMBERS: in each group MEMBERS senders write 100-byte
 * messages to MEMBERS receivers in turn, over one socket pair a receiver; counted in
 * messages received. The pattern of the kernel's `perf bench sched messaging`.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench.h"

#define MESSAGE_BYTES	100

struct group {
	uint32_t members;
	int *sockets;		/* where the senders write, one a receiver */
};

struct receiver {
	struct progress *progress;
	int socket;
};

static void *send_messages(void *argument)
{
	struct group *group = argument;
	char message[MESSAGE_BYTES] = { 0 };

	for (;;)
		for (uint32_t i = 0; i < group->members; i++)
			if (write(group->sockets[i], message, sizeof(message)) != sizeof(message))
				die("a sender failed: %s", strerror(errno));
	return NULL;
}

static void *receive_messages(void *argument)
{
	struct receiver *receiver = argument;
	char message[MESSAGE_BYTES];

	for (;;) {
		if (recv(receiver->socket, message, sizeof(message), MSG_WAITALL) != sizeof(message))
			die("a receiver failed: %s", strerror(errno));
		receiver->progress->count++;
		receiver->progress->last_ns = now_ns(CLOCK_MONOTONIC);
	}
	return NULL;
}

static void start_group(struct progress *progress, uint32_t members)
{
	struct group *group = malloc(sizeof(*group));
	struct receiver *receivers = calloc(members, sizeof(*receivers));

	if (!group || !receivers)
		die("no memory");
	group->members = members;
	group->sockets = calloc(members, sizeof(*group->sockets));
	for (uint32_t i = 0; group->sockets && i < members; i++) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
			die("no sockets: %s", strerror(errno));
		group->sockets[i] = ends[0];
		receivers[i].progress = &progress[i];
		receivers[i].socket = ends[1];
		start_thread(receive_messages, &receivers[i]);
	}
	for (uint32_t i = 0; i < members; i++)
		start_thread(send_messages, group);
}

int messaging_main(int argc, char **argv)
{
	struct progress_file *file;
	uint32_t groups, members;

	if (argc != 4)
		die("usage: messaging PROGRESS GROUPS MEMBERS");
	groups = (uint32_t)number(argv[2], "number of groups");
	members = (uint32_t)number(argv[3], "number of members");
	file = make_progress(argv[1], groups * members);
	for (uint32_t i = 0; i < groups; i++)
		start_group(&file->thread[i * members], members);
	wait_for_ever();
}

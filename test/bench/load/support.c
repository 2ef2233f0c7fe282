/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files in shared memory, threads, and the end of the program. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

/* Enough for burn() and a clock; 20,000 threads must fit. */
#define STACK_BYTES	(32 * 1024)

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("bench-load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

uint64_t number(const char *text, const char *what)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		die("%s is no %s", text, what);
	return value;
}

void *map_file(const char *path, size_t *length)
{
	struct stat stat;
	void *memory;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &stat) < 0)
		die("%s: %s", path, strerror(errno));
	memory = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (memory == MAP_FAILED)
		die("%s: cannot map it: %s", path, strerror(errno));
	close(fd);
	*length = (size_t)stat.st_size;
	return memory;
}

struct schedule *open_schedule(const char *path)
{
	size_t length;
	struct schedule *schedule = map_file(path, &length);

	if (length < sizeof(*schedule) || schedule->magic != SCHEDULE_MAGIC)
		die("%s is no schedule", path);
	return schedule;
}

struct progress_file *make_progress(const char *path, uint32_t threads)
{
	size_t length = sizeof(struct progress_file) + threads * sizeof(struct progress);
	struct progress_file *file;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)length) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
	file = map_file(path, &length);
	file->threads = threads;
	/* last: a file with the magic is complete */
	__atomic_store_n(&file->magic, PROGRESS_MAGIC, __ATOMIC_RELEASE);
	return file;
}

struct progress_file *open_progress(const char *path)
{
	size_t length;
	struct progress_file *file = map_file(path, &length);

	if (length < sizeof(*file) || file->magic != PROGRESS_MAGIC)
		die("%s is no progress file", path);
	return file;
}

void start_thread(void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &attributes, body, argument);
	pthread_attr_destroy(&attributes);
	if (error)
		die("cannot start a thread: %s", strerror(error));
}

void wait_for_ever(void)
{
	for (;;)
		pause();
}

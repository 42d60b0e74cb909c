/* Other processes, as /proc shows them. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a small file; false if it cannot be read. */
bool read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, text, room - 1) : -1;
	if (fd >= 0)
		close(fd);
	text[size > 0 ? size : 0] = '\0';
	return size > 0;
}

/* The number that follows `key` in such a file. */
bool read_number(const char *path, const char *key, uint64_t *number)
{
	char text[4096];
	const char *at = read_text(path, text, sizeof text) ? strstr(text, key) : NULL;
	if (!at)
		return false;
	at += strlen(key);
	char *end;
	*number = strtoull(at, &end, 10);
	return end != at;
}

/* What /proc knows of a process; false if there is none. */
bool look_at_process(pid_t pid, char *state, pid_t *parent)
{
	char path[32], text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	const char *name_end = read_text(path, text, sizeof text) ? strrchr(text, ')') : NULL;
	if (!name_end || strlen(name_end) < sizeof ") S 1" - 1)
		return false;
	*state = name_end[2];
	*parent = strtol(name_end + 4, NULL, 10);
	return true;
}

/* The letter of its state: X if there is none, ? where /proc does not show it. */
char state_of(pid_t pid)
{
	char state;
	pid_t parent;
	if (look_at_process(pid, &state, &parent))
		return state;
	return kill(pid, 0) != 0 && errno == ESRCH ? 'X' : '?';
}

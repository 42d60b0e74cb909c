/* Growing memory and whole writes. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool append(struct buffer *buffer, const void *bytes, size_t size)
{
	if (buffer->room - buffer->used < size) {
		size_t room = buffer->room ? buffer->room : 16384;
		while (room - buffer->used < size)
			room *= 2;
		unsigned char *grown = realloc(buffer->bytes, room);
		if (!grown)
			return false;
		buffer->bytes = grown;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->used, bytes, size);
	buffer->used += size;
	return true;
}

/* Writes everything; a descriptor that another process made non-blocking is waited for. */
bool write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;
	while (size > 0) {
		ssize_t written = write(fd, at, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN) {
			struct pollfd ready = {.fd = fd, .events = POLLOUT};
			poll(&ready, 1, -1);
			continue;
		}
		if (written < 0)
			return false;
		at += written;
		size -= written;
	}
	return true;
}

/* Where 0, 1 or 2 is closed, our own descriptors must not take their place: what is written to "stdout" would land in
 * them. */
int above_standard(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close(fd);
	return moved;
}

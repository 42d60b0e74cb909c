/* Growing memory, whole writes, little-endian numbers. */
#include "shoal.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool append(struct buffer *buffer, const void *bytes, size_t size)
{
	if (size == 0)
		return true;
	if (buffer->room - buffer->used < size) {
		size_t room = buffer->room ? buffer->room : 16384;
		while (room - buffer->used < size) {
			if (room > SIZE_MAX / 2)
				return false;
			room *= 2;
		}
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

void put32(unsigned char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = value >> (8 * i);
}

void put64(unsigned char *at, uint64_t value)
{
	put32(at, (uint32_t)value);
	put32(at + 4, value >> 32);
}

uint32_t get32(const unsigned char *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t get64(const unsigned char *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* The answer: read whole, checked whole, then installed. Nothing of a compile is touched before its last frame is here,
 * so an answer cut short leaves everything as it was. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The daemon says that it lives every 30 s. */
enum { silence_ms = 120000 };
enum { frame_head = 5, output_head = 13 };

struct frame {
	char tag;
	uint32_t size;
	const unsigned char *bytes;
};

struct output {
	bool in_place;
	mode_t mode;
	uint64_t size;
	const unsigned char *content; /* one D frame, or nothing if the output is empty */
	char path[PATH_MAX];
	int fd; /* of the new file, until it has its name */
	char temporary[PATH_MAX + 32];
};

enum { most_outputs = 64 };

static uint32_t get32(const unsigned char *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const unsigned char *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* The frame at *at; false at the end, or if it is not whole. */
static bool next_frame(const struct buffer *answer, size_t *at, struct frame *frame)
{
	if (answer->used - *at < frame_head)
		return false;
	frame->tag = answer->bytes[*at];
	frame->size = get32(answer->bytes + *at + 1);
	frame->bytes = answer->bytes + *at + frame_head;
	if (answer->used - *at - frame_head < frame->size)
		return false;
	*at += frame_head + frame->size;
	return true;
}

enum answer read_answer(int socket, struct buffer *answer)
{
	static unsigned char chunk[1 << 16];
	size_t at = 0;
	for (;;) {
		struct frame frame;
		while (next_frame(answer, &at, &frame)) {
			if (frame.tag == 'R')
				return ANSWER_RUN_HERE;
			if (frame.tag == 'X')
				return frame.size == 4 ? ANSWER_DONE : ANSWER_BROKEN;
			if (!strchr("OD12H", frame.tag) || frame.tag == '\0')
				return ANSWER_BROKEN;
		}
		struct pollfd ready = {.fd = socket, .events = POLLIN};
		int polled = poll(&ready, 1, silence_ms);
		if (polled < 0 && errno == EINTR)
			continue;
		if (polled <= 0)
			return ANSWER_BROKEN;
		ssize_t got = recv(socket, chunk, sizeof chunk, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || !append(answer, chunk, got))
			return ANSWER_BROKEN;
	}
}

static bool parse_output(const struct frame *frame, struct output *output)
{
	size_t length = frame->size - output_head;
	if (frame->size <= output_head || length >= sizeof output->path || frame->bytes[output_head] != '/')
		return false;
	if (memchr(frame->bytes + output_head, '\0', length))
		return false;
	*output = (struct output){.in_place = frame->bytes[0] == 1, .mode = get32(frame->bytes + 1) & 0777, .fd = -1};
	output->size = get64(frame->bytes + 5);
	memcpy(output->path, frame->bytes + output_head, length);
	return true;
}

/* A nameless file beside the target: a launcher that is killed leaves nothing. Where the file system has no such files,
 * a name that nobody else uses. */
static bool write_new(struct output *output)
{
	char directory[PATH_MAX];
	strcpy(directory, output->path);
	char *slash = strrchr(directory, '/');
	slash[slash == directory] = '\0';
	snprintf(output->temporary, sizeof output->temporary, "%s.shoal-%d~", output->path, (int)getpid());
	output->fd = above_standard(open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, output->mode));
	if (output->fd < 0) {
		unlink(output->temporary);
		int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
		output->fd = above_standard(open(output->temporary, flags, output->mode));
		return output->fd >= 0 && write_all(output->fd, output->content, output->size);
	}
	char nameless[32];
	snprintf(nameless, sizeof nameless, "/proc/self/fd/%d", output->fd);
	if (!write_all(output->fd, output->content, output->size))
		return false;
	/* Where nothing is in the way it gets its own name at once, else one beside it to be renamed over the old file. */
	if (linkat(AT_FDCWD, nameless, AT_FDCWD, output->path, AT_SYMLINK_FOLLOW) == 0) {
		output->temporary[0] = '\0';
		return true;
	}
	unlink(output->temporary);
	return linkat(AT_FDCWD, nameless, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) == 0;
}

static bool write_in_place(struct output *output)
{
	output->fd = above_standard(open(output->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, output->mode));
	return output->fd >= 0 && write_all(output->fd, output->content, output->size);
}

static bool write_outputs(struct output *outputs, size_t count)
{
	bool done = true;
	for (size_t i = 0; done && i < count; i++)
		done = outputs[i].in_place ? write_in_place(&outputs[i]) : write_new(&outputs[i]);
	for (size_t i = 0; i < count; i++) {
		struct output *output = &outputs[i];
		if (output->fd >= 0 && close(output->fd) != 0)
			done = false; /* a full disk or a quota may show only here, on network file systems */
		if (output->in_place || output->temporary[0] == '\0' || output->fd < 0)
			continue;
		if (!done || rename(output->temporary, output->path) != 0) {
			unlink(output->temporary);
			done = false;
		}
	}
	return done;
}

static bool collect(const struct buffer *answer, struct output *outputs, size_t *count)
{
	struct frame frame;
	for (size_t at = 0; next_frame(answer, &at, &frame);) {
		if (frame.tag == 'O') {
			if (*count == most_outputs || !parse_output(&frame, &outputs[*count]))
				return false;
			(*count)++;
		} else if (frame.tag == 'D') {
			if (*count == 0 || outputs[*count - 1].content || outputs[*count - 1].size != frame.size)
				return false;
			outputs[*count - 1].content = frame.bytes;
		}
	}
	for (size_t i = 0; i < *count; i++)
		if (outputs[i].size > 0 && !outputs[i].content)
			return false;
	return true;
}

/* Writes the outputs, then stdout and stderr. False if the outputs could not be written: the compiler then runs here and
 * writes them itself, or says why it cannot. */
bool install_answer(const struct buffer *answer, int *wait_status)
{
	static struct output outputs[most_outputs];
	size_t count = 0;
	if (!collect(answer, outputs, &count) || !write_outputs(outputs, count))
		return false;
	struct frame frame;
	for (size_t at = 0; next_frame(answer, &at, &frame);) {
		if (frame.tag == '1')
			write_all(1, frame.bytes, frame.size);
		else if (frame.tag == '2')
			write_all(2, frame.bytes, frame.size);
		else if (frame.tag == 'X')
			*wait_status = get32(frame.bytes);
	}
	return true;
}

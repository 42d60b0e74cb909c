/* Frames in and out. A job's frame is parsed in place: every text in it comes with its NUL. */
#include "init.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool read_exactly(int fd, void *bytes, size_t size)
{
	unsigned char *at = bytes;
	while (size > 0) {
		ssize_t got = read(fd, at, size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		size -= got;
	}
	return true;
}

/* Answers gather here, so that an ordinary job's is one write, and one read of the worker's. */
static unsigned char gathered[256 << 10];
static size_t gathered_bytes;

void flush_replies(void)
{
	for (size_t at = 0; at < gathered_bytes;) {
		ssize_t written = write(1, gathered + at, gathered_bytes - at);
		if (written < 0 && errno != EINTR)
			_exit(3); /* the worker is gone */
		if (written > 0)
			at += written;
	}
	gathered_bytes = 0;
}

void add_to_reply(const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	while (size > 0) {
		if (gathered_bytes == sizeof gathered)
			flush_replies();
		size_t room = sizeof gathered - gathered_bytes, part = size < room ? size : room;
		memcpy(gathered + gathered_bytes, at, part);
		gathered_bytes += part;
		at += part;
		size -= part;
	}
}

/* Nothing of the job runs any more, so a file that ends before its size cannot be. If it is, the slot ends with it. */
void add_file_to_reply(int fd, size_t size)
{
	while (size > 0) {
		if (gathered_bytes == sizeof gathered)
			flush_replies();
		size_t room = sizeof gathered - gathered_bytes;
		ssize_t got = read(fd, gathered + gathered_bytes, size < room ? size : room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			_exit(5);
		gathered_bytes += got;
		size -= got;
	}
}

static void put32(unsigned char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = value >> (8 * i);
}

static uint32_t get32(const unsigned char *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const unsigned char *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

void begin_reply(char tag, size_t size)
{
	unsigned char start[5] = {tag};
	put32(start + 1, size);
	add_to_reply(start, sizeof start);
}

void reply(char tag, const void *bytes, size_t size)
{
	begin_reply(tag, size);
	add_to_reply(bytes, size);
}

void reply_trouble(const char *what)
{
	reply('T', what, strlen(what));
}

void fail(const char *step, const char *subject)
{
	char text[512];
	int size = snprintf(text, sizeof text, "%s%s%s: %s", step, subject ? " " : "", subject ? subject : "", strerror(errno));
	reply('F', text, size < (int)sizeof text ? size : (int)sizeof text - 1);
	flush_replies();
	_exit(0);
}

static bool grow(void **items, size_t *room, size_t count, size_t item_size)
{
	if (count < *room)
		return true;
	size_t wanted = *room ? 2 * *room : 64;
	void *grown = wanted > 2 * most_words ? NULL : realloc(*items, wanted * item_size);
	if (!grown)
		return false;
	*items = grown;
	*room = wanted;
	return true;
}

static bool push(struct text_list *list, char *text)
{
	if (!grow((void **)&list->items, &list->room, list->count + 1, sizeof *list->items))
		return false;
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
	return true;
}

/* Root-relative and without tricks; the worker has checked the same, but this is where it counts. Empty: the root. */
static bool is_safe_path(const char *path)
{
	if (path[0] == '/' || strlen(path) >= PATH_MAX)
		return false;
	for (const char *at = path;; at++) {
		size_t length = strcspn(at, "/");
		if ((length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		if (length == 0 && path[0] != '\0')
			return false;
		at += length;
		if (*at == '\0')
			return true;
	}
}

static bool push_path(struct text_list *list, char *text)
{
	return is_safe_path(text) && push(list, text);
}

/* The text at the start of a value, whose NUL is inside it; its length with the NUL, or 0. */
static size_t text_length(const unsigned char *value, size_t size)
{
	const unsigned char *end = memchr(value, '\0', size);
	return end ? (size_t)(end - value) + 1 : 0;
}

/* u8 executable, u8 has mtime, i64 mtime in ns, path and NUL, content */
static bool take_addition(struct job *job, unsigned char *value, size_t size)
{
	size_t length = size < 10 ? 0 : text_length(value + 10, size - 10);
	if (length < 2 || !is_safe_path((char *)value + 10) ||
	    !grow((void **)&job->additions, &job->addition_room, job->addition_count, sizeof *job->additions))
		return false;
	job->additions[job->addition_count++] = (struct addition){
		.path = (char *)value + 10,
		.content = value + 10 + length,
		.size = size - 10 - length,
		.executable = value[0],
		.has_mtime = value[1],
		.mtime_ns = (int64_t)get64(value + 2),
	};
	return true;
}

/* path and NUL, target and NUL */
static bool take_link(struct link **links, size_t *count, size_t *room, unsigned char *value, size_t size)
{
	size_t length = text_length(value, size);
	if (length < 2 || length == size || text_length(value + length, size - length) != size - length ||
	    !is_safe_path((char *)value) || !grow((void **)links, room, *count, sizeof **links))
		return false;
	(*links)[(*count)++] = (struct link){.path = (char *)value, .target = (char *)value + length};
	return true;
}

static bool take_limits(struct job *job, const unsigned char *value, size_t size)
{
	uint64_t *const fields[] = {&job->wall_ms,   &job->cpu_seconds,  &job->memory_bytes,
	                            &job->processes, &job->output_bytes, &job->disk_bytes};
	if (size != 8 * sizeof fields / sizeof *fields)
		return false;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		*fields[i] = get64(value + 8 * i);
	return true;
}

static bool take_record(struct job *job, char tag, unsigned char *value, size_t size)
{
	char *text = (char *)value;
	switch (tag) {
	case 'K': return size == 1 && ((job->within = value[0] == 1), true);
	case 'M': return is_safe_path(text) && ((job->mount_at = text), true);
	case 'L': return push_path(&job->lower, text);
	case 'H': return push_path(&job->host, text);
	case 'a': return push(&job->argv, text);
	case 'e': return push(&job->env, text);
	case 'c': return text[0] == '/' && ((job->cwd = text), true);
	case 'p': return (job->program = text), true;
	case 'D': return push_path(&job->directories, text);
	case 'W': return push_path(&job->deletions, text);
	case 'o': return push_path(&job->outputs, text);
	case 'A': return take_addition(job, value, size);
	case 'S': return take_link(&job->links, &job->link_count, &job->link_room, value, size);
	case 'B':
		return take_link(&job->binds, &job->bind_count, &job->bind_room, value, size) &&
		       is_safe_path(job->binds[job->bind_count - 1].target);
	case 'l': return take_limits(job, value, size);
	case 't':
		job->terminal_bits = size == 5 ? value[0] : 0;
		job->columns = size == 5 ? value[1] | value[2] << 8 : 0;
		job->rows = size == 5 ? value[3] | value[4] << 8 : 0;
		return size == 5;
	default: return false;
	}
}

bool parse_job(unsigned char *bytes, size_t size, struct job *job)
{
	if (!push(&job->env, NULL) || !push(&job->argv, NULL))
		return false;
	job->env.count = job->argv.count = 0;
	for (size_t at = 0; at < size;) {
		if (size - at < 5)
			return false;
		char tag = bytes[at];
		size_t length = get32(bytes + at + 1);
		at += 5;
		if (length > size - at)
			return false;
		/* A text is all before its only NUL. */
		bool is_text = tag != 'A' && tag != 'S' && tag != 'B' && tag != 'K' && tag != 'l' && tag != 't';
		if (is_text && (length == 0 || text_length(bytes + at, length) != length))
			return false;
		if (!take_record(job, tag, bytes + at, length))
			return false;
		at += length;
	}
	return job->argv.count > 0 && job->cwd && job->wall_ms > 0 && (!job->within || (job->mount_at && *job->mount_at));
}

/* Frames. A job's records (tag, u32 n, n bytes; a text is n bytes of which the last is its only NUL):
 *   r u8             0: the input root is the job's /, 1: it is at m
 *   m text           where, absolute
 *   l text           lower directory, relative to the state directory, topmost first
 *   h text           host path to show (kind 1), one of those that the slot was started with
 *   f u8 u8 i64 u32  executable, has a time, seconds, nanoseconds; text; the rest is the content: a file of the upper layer
 *   s text text      symbolic link: path, target
 *   d text           directory that shall exist and be writable
 *   t text           the same for temporary files, relative to the job's / : mode 1777, and given up if in the way
 *   w text           a name of the lower layers that shall not exist
 *   a e p c          argv item, environment string, program, working directory
 *   o text           output
 *   T u8 u16 u16     terminal bits, columns, rows
 *   L u64 x 7        limits in the order of struct limits
 * All paths but those of m, h, p, c and link targets are relative and have no empty, "." or ".." component.
 */
#include "init.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { head_size = 5 };

bool next_record(struct cursor *cursor, struct record *record)
{
	if (cursor->end - cursor->at < head_size)
		return false;
	record->tag = cursor->at[0];
	memcpy(&record->size, cursor->at + 1, 4);
	if (record->size > (size_t)(cursor->end - cursor->at) - head_size)
		return false;
	record->bytes = cursor->at + head_size;
	cursor->at = record->bytes + record->size;
	return true;
}

bool next_tagged(struct cursor *cursor, unsigned char tag, struct record *record)
{
	while (next_record(cursor, record))
		if (record->tag == tag)
			return true;
	return false;
}

bool is_plain_path(const char *path)
{
	if (strlen(path) >= PATH_MAX)
		return false;
	for (const char *at = path;; at++) {
		size_t length = strcspn(at, "/");
		if (length == 0 || length > NAME_MAX || (at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.'))))
			return false;
		at += length;
		if (!*at)
			return true;
	}
}

static bool is_text(const unsigned char *bytes, size_t size)
{
	return size > 0 && memchr(bytes, 0, size) == bytes + size - 1;
}

static bool is_absolute(const struct record *record)
{
	const char *path = (const char *)record->bytes;
	return is_text(record->bytes, record->size) && path[0] == '/' && strlen(path) < PATH_MAX;
}

static bool is_relative(const struct record *record)
{
	return is_text(record->bytes, record->size) && is_plain_path((const char *)record->bytes);
}

/* A plain path and its NUL at the head of the bytes; `rest` gets the size of what follows. */
static bool begins_with_path(const unsigned char *bytes, size_t size, size_t *rest)
{
	const unsigned char *end = memchr(bytes, 0, size);
	if (!end || !is_plain_path((const char *)bytes))
		return false;
	*rest = size - (end + 1 - bytes);
	return true;
}

static bool check_record(const struct record *record)
{
	const unsigned char *bytes = record->bytes;
	size_t size = record->size, rest;
	switch (record->tag) {
	case 'r':
		return size == 1 && bytes[0] <= 1;
	case 'm':
		return is_absolute(record) && is_plain_path((const char *)bytes + 1);
	case 'h':
	case 'c':
		return is_absolute(record);
	case 'l':
	case 'd':
	case 't':
	case 'w':
	case 'o':
		return is_relative(record);
	case 'f':
		return size > 14 && begins_with_path(bytes + 14, size - 14, &rest);
	case 's':
		return begins_with_path(bytes, size, &rest) && is_text(bytes + size - rest, rest);
	case 'a':
	case 'e':
	case 'p':
		return is_text(bytes, size);
	case 'T':
		return size == 5;
	case 'L':
		return size == sizeof(struct limits);
	default:
		return false;
	}
}

static void take_record(struct job *job, const struct record *record, size_t *args, size_t *vars)
{
	const char *text = (const char *)record->bytes;
	switch (record->tag) {
	case 'r':
		job->within = record->bytes[0] == 1;
		break;
	case 'm':
		job->mount_at = text;
		break;
	case 'a':
		job->argv[(*args)++] = (char *)text;
		break;
	case 'e':
		job->env[(*vars)++] = (char *)text;
		break;
	case 'p':
		job->program = text;
		break;
	case 'c':
		job->directory = text;
		break;
	case 'T':
		job->terminal.bits = record->bytes[0];
		memcpy(&job->terminal.columns, record->bytes + 1, 2);
		memcpy(&job->terminal.rows, record->bytes + 3, 2);
		break;
	case 'L':
		memcpy(&job->limits, record->bytes, sizeof job->limits);
		break;
	}
}

/* NULL, or what is wrong with the records. */
const char *parse_job(struct cursor records, struct job *job)
{
	struct record record;
	size_t args = 0, vars = 0;
	struct cursor check = records;
	while (next_record(&check, &record)) {
		if (!check_record(&record))
			return "a record is malformed";
		args += record.tag == 'a';
		vars += record.tag == 'e';
	}
	if (check.at != check.end)
		return "a record is cut short";
	*job = (struct job){.records = records, .mount_at = ""};
	job->argv = calloc(args + vars + 2, sizeof *job->argv);
	if (!job->argv)
		return "no memory";
	job->env = job->argv + args + 1;
	args = vars = 0;
	while (next_record(&records, &record))
		take_record(job, &record, &args, &vars);
	if (args == 0 || !job->directory || !job->limits.wall_ms || (job->within && !*job->mount_at))
		return "a record is missing";
	return NULL;
}

bool reserve(struct buffer *buffer, size_t room)
{
	if (buffer->room - buffer->used >= room)
		return true;
	size_t wanted = buffer->room ? buffer->room : 65536;
	while (wanted - buffer->used < room)
		wanted *= 2;
	unsigned char *grown = realloc(buffer->bytes, wanted);
	if (!grown)
		return false;
	buffer->bytes = grown;
	buffer->room = wanted;
	return true;
}

/* Answers are gathered here, so that an ordinary job's is one write. */
static unsigned char answer[max_record_frame + 64];
static size_t answer_used;

static void flush(void)
{
	for (size_t at = 0; at < answer_used;) {
		ssize_t written = write(1, answer + at, answer_used - at);
		if (written < 0 && errno != EINTR)
			_exit(1); /* the worker is gone */
		if (written > 0)
			at += written;
	}
	answer_used = 0;
}

static unsigned char *begin_frame(unsigned char tag, uint32_t size)
{
	if (sizeof answer - answer_used < (size_t)head_size + size)
		flush();
	unsigned char *head = answer + answer_used;
	head[0] = tag;
	memcpy(head + 1, &size, 4);
	answer_used += head_size + size;
	return head + head_size;
}

void put_bytes(unsigned char tag, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	while (size > 0) {
		size_t part = size < max_record_frame ? size : max_record_frame;
		memcpy(begin_frame(tag, part), at, part);
		at += part;
		size -= part;
	}
}

void put_output(uint32_t index, char kind, const char *path)
{
	size_t length = strlen(path) + 1;
	unsigned char *body = begin_frame('O', 5 + length);
	memcpy(body, &index, 4);
	body[4] = kind;
	memcpy(body + 5, path, length);
}

/* Nothing of the job runs any more, so a file that is shorter than it said cannot be; the slot ends with it. */
void put_file(int fd, uint64_t size)
{
	while (size > 0) {
		size_t left = sizeof answer - answer_used;
		if (left < 4096 && left < size + head_size) {
			flush();
			left = sizeof answer;
		}
		size_t part = size < left - head_size ? size : left - head_size;
		if (part > max_record_frame)
			part = max_record_frame;
		unsigned char *body = begin_frame('D', part);
		for (size_t at = 0; at < part;) {
			ssize_t taken = read(fd, body + at, part - at);
			if (taken <= 0)
				_exit(1);
			at += taken;
		}
		size -= part;
	}
}

void put_end(const void *body, size_t size)
{
	memcpy(begin_frame('X', size), body, size);
	flush();
}

_Noreturn void fail(const char *step, const char *subject)
{
	uint32_t number = errno;
	size_t step_size = strlen(step) + 1, subject_size = strnlen(subject, PATH_MAX) + 1;
	unsigned char *body = begin_frame('F', 4 + step_size + subject_size);
	memcpy(body, &number, 4);
	memcpy(body + 4, step, step_size);
	memcpy(body + 4 + step_size, subject, subject_size - 1);
	body[4 + step_size + subject_size - 1] = 0;
	flush();
	_exit(0);
}

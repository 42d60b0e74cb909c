/* The request: everything that a compile's result can depend on, in one frame. The layout is described where it is
 * decoded, in src/client/launcher-wire.ts. */
#include "shoal.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { preamble = 8, most_bytes = 16 << 20 };

static const char *const source_suffixes[] = {
	".C", ".CPP", ".M", ".S", ".c", ".c++", ".cc", ".cp", ".cpp", ".cxx", ".i", ".ii", ".m", ".mm", ".s", ".sx",
};

static bool record(struct buffer *frame, char tag, const void *bytes, size_t size)
{
	unsigned char head[5] = {tag};
	put32(head + 1, size);
	return append(frame, head, sizeof head) && append(frame, bytes, size);
}

static bool text_record(struct buffer *frame, char tag, const char *text)
{
	return record(frame, tag, text, strlen(text));
}

static bool identity_record(struct buffer *frame, char tag, const char *path)
{
	struct stat found;
	unsigned char identity[16];
	if (stat(path, &found) != 0)
		return false;
	put64(identity, found.st_dev);
	put64(identity + 8, found.st_ino);
	return record(frame, tag, identity, sizeof identity);
}

/* Where nothing tells them apart, as without /proc, all are one: the daemon finds the same. */
static bool mounts_record(struct buffer *frame)
{
	static const unsigned char unknown[16];
	return identity_record(frame, 'm', "/proc/self/ns/mnt") || record(frame, 'm', unknown, sizeof unknown);
}

static bool has_source_suffix(const char *word)
{
	const char *dot = strrchr(word, '.');
	if (!dot || word[0] == '-')
		return false;
	for (size_t i = 0; i < sizeof source_suffixes / sizeof *source_suffixes; i++)
		if (strcmp(dot, source_suffixes[i]) == 0)
			return true;
	return false;
}

bool is_source_or_object(const char *word)
{
	size_t length = strlen(word);
	return has_source_suffix(word) || (length > 2 && strcmp(word + length - 2, ".o") == 0);
}

static bool source_records(struct buffer *frame, char **argv)
{
	for (uint32_t index = 1; argv[index]; index++) {
		struct stat found;
		if (!has_source_suffix(argv[index]) || stat(argv[index], &found) != 0)
			continue;
		unsigned char source[20];
		put32(source, index);
		put64(source + 4, found.st_dev);
		put64(source + 12, found.st_ino);
		if (!record(frame, 's', source, sizeof source))
			return false;
	}
	return true;
}

static uint64_t limit_of(rlim_t limit)
{
	return limit == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit;
}

static bool limit_records(struct buffer *frame)
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit limit;
		if (getrlimit(resource, &limit) != 0)
			continue;
		unsigned char bytes[20];
		put32(bytes, resource);
		put64(bytes + 4, limit_of(limit.rlim_cur));
		put64(bytes + 12, limit_of(limit.rlim_max));
		if (!record(frame, 'l', bytes, sizeof bytes))
			return false;
	}
	return true;
}

/* gcc asks whether stderr is a terminal, and for the width of stdin's. */
static bool terminal_record(struct buffer *frame, int closed)
{
	struct winsize size = {0};
	unsigned char terminal[5] = {closed << 3};
	for (int fd = 0; fd < 3; fd++)
		if (!(closed & 1 << fd) && isatty(fd))
			terminal[0] |= 1 << fd;
	if (terminal[0] & 1)
		ioctl(0, TIOCGWINSZ, &size);
	terminal[1] = size.ws_col;
	terminal[2] = size.ws_col >> 8;
	terminal[3] = size.ws_row;
	terminal[4] = size.ws_row >> 8;
	return record(frame, 't', terminal, sizeof terminal);
}

static bool number_record(struct buffer *frame, char tag, uint32_t number)
{
	unsigned char bytes[4];
	put32(bytes, number);
	return record(frame, tag, bytes, sizeof bytes);
}

static bool compiler_record(struct buffer *frame, const char *compiler, const char *cwd)
{
	char absolute[2 * PATH_MAX];
	if (compiler[0] == '/')
		return text_record(frame, 'x', compiler);
	snprintf(absolute, sizeof absolute, "%s/%s", cwd, compiler);
	return text_record(frame, 'x', absolute);
}

/* All of it, or nothing that could be answered; connect_daemon() has bounded each wait. */
bool send_all(int socket, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		bytes += sent;
		size -= sent;
	}
	return true;
}

bool send_request(int socket, const struct command *command)
{
	struct buffer frame = {0};
	char cwd[PATH_MAX];
	mode_t mask = umask(0);
	umask(mask);
	if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/')
		return false;
	bool made = append(&frame, "SHL1\0\0\0\0", preamble) && compiler_record(&frame, command->compiler, cwd);
	for (char **arg = command->argv; made && *arg; arg++)
		made = text_record(&frame, 'a', *arg);
	for (char **entry = environ; made && *entry; entry++)
		made = text_record(&frame, 'e', *entry);
	if (command->as_distcc)
		made = made && record(&frame, 'd', "", 0);
	made = made && text_record(&frame, 'w', cwd) && number_record(&frame, 'u', mask) && limit_records(&frame) &&
	       terminal_record(&frame, command->closed) && identity_record(&frame, 'r', "/") &&
	       identity_record(&frame, 'c', ".") && mounts_record(&frame) && source_records(&frame, command->argv) &&
	       number_record(&frame, 'p', getpid());
	if (!made || frame.used - preamble > most_bytes)
		return false;
	put32(frame.bytes + 4, frame.used - preamble);
	return send_all(socket, frame.bytes, frame.used);
}

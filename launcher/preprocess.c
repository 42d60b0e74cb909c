/* A compile turned into preprocessing, for a host that takes preprocessed source. The daemon asks for it in one frame without
 * content; what runs is made here, of our own words alone. Its text goes into memory that has no name (through a pipe, the
 * 4 KB that a compiler writes at a time would wake three processes), and from there to the daemon; nothing is left of it,
 * whoever is killed.
 *
 * To the daemon: frames of u8 tag, u32 n, n bytes; P text, Q what it says on stderr, Z (u32 wait status) at the end. */
#include "shoal.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { frame_head = 5 };
/* As src/client/distcc/preprocess.ts has it; the largest that was seen has half of it. */
enum { most_bytes = 128 << 20 };
/* What cc1plus has in use for the largest sources of leveldb and abseil is half of it. */
enum { need_kb = 64 << 10 };
/* What the daemon is told where there is nothing to wait for. */
static const uint32_t never_ran = UINT32_MAX;

/* Options whose value is the next word, which may look like an option. */
static const char *const with_value[] = {
	"-A", "-D", "-I", "-L", "-MF", "-MQ", "-MT", "-T", "-U", "-Xassembler", "-Xclang", "-Xlinker", "-Xpreprocessor",
	"-arch", "-e", "-idirafter", "-imacros", "-imultilib", "-include", "-iprefix", "-iquote", "-isysroot", "-isystem",
	"-iwithprefix", "-iwithprefixbefore", "-l", "-mllvm", "-target", "-u", "-x", "-z", "--param", "--sysroot",
};

/* Of Linux 3.17; musl 1.1 does not name it. */
static int memfd(const char *name)
{
	return syscall(SYS_memfd_create, name, 1U /* MFD_CLOEXEC */);
}

static bool takes_value(const char *word)
{
	for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++)
		if (strcmp(word, with_value[i]) == 0)
			return true;
	return false;
}

static bool begins(const char *word, const char *start)
{
	return strncmp(word, start, strlen(start)) == 0;
}

/* `dir/x.o` → `dir/x.d`: where the compile would have written its dependencies. */
static char *dependency_file(const char *object)
{
	const char *name = base_of(object), *dot = strrchr(name, '.');
	size_t length = dot && dot != name ? (size_t)(dot - object) : strlen(object);
	char *path = malloc(length + sizeof ".d");
	if (!path)
		return NULL;
	memcpy(path, object, length);
	strcpy(path + length, ".d");
	return path;
}

/* Spelled out, what it compiles to and what it writes would have to be found in more forms than these; nobody does that. */
static bool is_spelled_out(const char *word)
{
	return begins(word, "--assemble") || begins(word, "--compile") || begins(word, "--output") || begins(word, "--write-");
}

/* The words that preprocess what `command` compiles, to standard output; NULL if that cannot be. What it writes beside is
 * what the compile would write, under the names that follow from its -o. clang takes -Wp,-MD,FILE for -MD -MF FILE. */
static char **preprocessing_words(const struct command *command)
{
	char **argv = command->argv;
	size_t count = 0, used = 0;
	bool preprocesses = false, has_dependencies = false, has_file = false, has_target = false;
	bool is_clang = strstr(base_of(command->compiler), "clang");
	const char *object = NULL;
	while (argv[count])
		count++;
	char **words = calloc(count + 5, sizeof *words);
	if (!words || count == 0)
		return NULL;
	words[used++] = argv[0];
	for (size_t i = 1; i < count; i++) {
		char *word = argv[i];
		if (*word == '@' || is_spelled_out(word))
			return NULL; /* there may be a -c in that file */
		if (strcmp(word, "-c") == 0 || strcmp(word, "-S") == 0) {
			if (!preprocesses)
				words[used++] = "-E";
			preprocesses = true;
			continue;
		}
		if (begins(word, "-o")) {
			object = word[2] ? word + 2 : argv[++i];
			if (!object)
				return NULL;
			continue;
		}
		has_dependencies |= strcmp(word, "-MD") == 0 || strcmp(word, "-MMD") == 0;
		if (is_clang && (begins(word, "-Wp,-MD,") || begins(word, "-Wp,-MMD,")))
			has_dependencies = has_file = true;
		has_file |= begins(word, "-MF");
		has_target |= begins(word, "-MT") || begins(word, "-MQ");
		words[used++] = word;
		if (takes_value(word) && argv[i + 1])
			words[used++] = argv[++i];
	}
	if (!preprocesses)
		return NULL;
	if (has_dependencies && object) {
		if (!has_file) {
			words[used++] = "-MF";
			if (!(words[used++] = dependency_file(object)))
				return NULL;
		}
		if (!has_target) {
			words[used++] = "-MQ";
			words[used++] = (char *)object;
		}
	}
	return words;
}

static bool send_head(int socket, char tag, uint32_t size)
{
	unsigned char head[frame_head] = {tag};
	put32(head + 1, size);
	return send_all(socket, head, sizeof head);
}

static bool send_end(int socket, uint32_t status)
{
	unsigned char bytes[4];
	put32(bytes, status);
	return send_head(socket, 'Z', sizeof bytes) && send_all(socket, bytes, sizeof bytes);
}

/* All that was written; connect_daemon() has bounded each wait. */
static bool send_memory(int socket, char tag, int memory)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	off_t size = lseek(memory, 0, SEEK_END), at = 0;
	if (size < 0 || size > most_bytes || !send_head(socket, tag, size))
		return false;
	sigaction(SIGPIPE, &ignore, &before); /* unlike send(), sendfile() cannot be told */
	for (ssize_t sent = 1; at < size && (sent > 0 || (sent < 0 && errno == EINTR));)
		sent = sendfile(socket, memory, &at, size - at);
	sigaction(SIGPIPE, &before, NULL);
	return at == size;
}

static _Noreturn void become_preprocessor(struct command *command, char **words, const int outputs[2])
{
	for (int i = 0; i < 2; i++)
		if (dup2(outputs[i], i + 1) < 0)
			_exit(127);
	command->argv = words;
	become_compiler(command, false);
}

/* False if it could not even be tried. Whoever began the build may ignore the ends of processes, and this one would not hear
 * of its child's then. */
static bool run_preprocessor(struct command *command, char **words, const int outputs[2], int *status)
{
	struct sigaction usual = {.sa_handler = SIG_DFL}, before;
	enter_gate(need_kb);
	sigaction(SIGCHLD, &usual, &before);
	pid_t child = fork(), ended = -1;
	if (child == 0) {
		sigaction(SIGCHLD, &before, NULL);
		become_preprocessor(command, words, outputs);
	}
	while (child > 0 && (ended = waitpid(child, status, 0)) < 0 && errno == EINTR)
		continue;
	sigaction(SIGCHLD, &before, NULL);
	leave_gate();
	return child > 0 && ended == child;
}

/* True once the daemon has been told how it ended, also where it could not be tried. */
bool preprocess(int socket, struct command *command)
{
	int status, outputs[2] = {memfd("preprocessed"), memfd("diagnostics")};
	char **words = preprocessing_words(command);
	bool ran = words && outputs[0] >= 0 && outputs[1] >= 0 && run_preprocessor(command, words, outputs, &status);
	bool told = ran ? send_memory(socket, 'P', outputs[0]) && send_memory(socket, 'Q', outputs[1]) &&
				  send_end(socket, status)
			: send_end(socket, never_ran);
	for (int i = 0; i < 2; i++)
		if (outputs[i] >= 0)
			close(outputs[i]);
	return told;
}

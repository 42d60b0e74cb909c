/* The compiler run here, as it would have been run without us: under the name that it was called by, and with a PATH that
 * does not lead it to us. gcc and clang called by a bare name look themselves up on PATH and take their own place, and
 * that of their parts, from what they find; a link to us in the way, gcc 12 does not even find its cc1. */
#include "shoal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the daemon's connection goes in a compiler run here: out of the way of descriptors that builds pass around. */
enum { connection_fd = 200 };

/* Not a script: those are wrappers, which see where they are in any case, and whose calls of compilers shall reach us. */
static bool is_binary(const char *path)
{
	char magic[4];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_elf = fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic && memcmp(magic, "\177ELF", sizeof magic) == 0;
	if (fd >= 0)
		close(fd);
	return is_elf;
}

/* True for a directory that stands on PATH for our sake alone: everything in it leads to us, and `name` or shoal does. */
static bool is_ours(const char *directory, const char *name)
{
	DIR *opened = opendir(directory);
	if (!opened)
		return false;
	struct stat file;
	bool ours = (fstatat(dirfd(opened), name, &file, 0) == 0 && is_self(&file)) ||
		    (fstatat(dirfd(opened), "shoal", &file, 0) == 0 && is_self(&file));
	for (struct dirent *entry; ours && (entry = readdir(opened)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			ours = fstatat(dirfd(opened), entry->d_name, &file, 0) == 0 && is_self(&file);
	closedir(opened);
	return ours;
}

/* PATH without the directories that are ours, in fresh memory; NULL if nothing would be left. */
static char *path_without_us(const char *path, const char *name)
{
	char *rest = malloc(strlen(path) + 1), *directory = malloc(strlen(path) + 1);
	size_t used = 0;
	bool any = false;
	for (const char *at = path; rest && directory; at++) {
		size_t length = strcspn(at, ":");
		memcpy(directory, at, length);
		directory[length] = '\0';
		if (length == 0 || !is_ours(directory, name)) {
			if (any)
				rest[used++] = ':';
			memcpy(rest + used, at, length);
			used += length;
			any = true;
		}
		at += length;
		if (*at == '\0')
			break;
	}
	free(directory);
	if (!rest || !any) {
		free(rest);
		return NULL;
	}
	rest[used] = '\0';
	return rest;
}

/* Whether a driver of that name, looking for itself along `path`, arrives at `compiler`. */
static bool finds_itself(const char *path, const char *name, const char *compiler)
{
	char *candidate = malloc(strlen(path) + strlen(name) + 3);
	bool found = false, more = candidate != NULL;
	struct stat file;
	for (const char *at = path; more && !found; at++) {
		at += spell_candidate(candidate, at, name);
		found = is_program(candidate, &file);
		more = *at != '\0';
	}
	bool itself = found && strcmp(candidate, compiler) == 0;
	free(candidate);
	return itself;
}

static void hide_ourselves(struct command *command)
{
	const char *path = getenv("PATH");
	char *rest = path ? path_without_us(path, base_of(command->compiler)) : NULL;
	if (!rest)
		return;
	if (strchr(command->name, '/') || finds_itself(rest, command->name, command->compiler))
		command->argv[0] = command->name;
	if (strcmp(rest, path) != 0)
		setenv("PATH", rest, 1);
	free(rest);
}

/* For find.c, should what we become run us again: a plus tells a wrapper from a compiler. */
static void mark_running(const char *compiler, bool is_wrapper)
{
	char *value = malloc(strlen(compiler) + 16);
	if (!value)
		return;
	sprintf(value, "%d%c%s", (int)getpid(), is_wrapper ? '+' : ':', compiler);
	setenv("SHOAL_RUNNING", value, 1);
}

/* A file without #! is a script of sh to everyone who executes commands; execv alone refuses it. */
static void exec_script(const struct command *command)
{
	size_t count = 0;
	while (command->argv[count])
		count++;
	char **words = calloc(count + 2, sizeof *words);
	if (!words)
		return;
	words[0] = "sh";
	words[1] = command->compiler;
	memcpy(words + 2, command->argv + 1, (count - 1) * sizeof *words);
	execv("/bin/sh", words);
}

/* Becomes the real compiler; `calls_one`: or a wrapper, whose calls of compilers shall reach us. */
void become_compiler(struct command *command, bool calls_one)
{
	bool is_wrapper = calls_one || !is_binary(command->compiler);
	if (!is_wrapper)
		hide_ourselves(command);
	mark_running(command->compiler, is_wrapper);
	execv(command->compiler, command->argv);
	if (errno == ENOEXEC)
		exec_script(command);
	int status = command->as_distcc ? distcc_compiler_missing : errno == ENOENT ? 127 : 126;
	fprintf(stderr, "shoal: %s: %s\n", command->compiler, strerror(errno));
	_exit(status);
}

/* Becomes it for good. The connection stays open in it, so that the daemon sees when the last process of the
 * compile has ended, and nobody has to wait for it. */
void run_here(struct command *command, const struct answer *answer, int connection)
{
	/* Unlike the original, the copy survives the exec; where the limit of descriptors leaves no room there, that one does. */
	if (connection >= 0 && fcntl(connection, F_DUPFD, connection_fd) < 0)
		fcntl(connection, F_SETFD, 0);
	become_compiler(command, answer->not_a_compiler);
}

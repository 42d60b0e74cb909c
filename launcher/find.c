/* Which compiler is meant: the name that we stand in for, or the one that follows `shoal`, found on PATH as the shell
 * would find it, but never ourselves, another wrapper of compilers, or the wrapper script that we run under. */
#include "shoal.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const subcommands[] = {
	"cache", "daemon", "demo", "doctor", "explain", "help", "hosts", "join", "make", "members", "pair",
	"revoke", "run", "status", "stop", "toolchains", "top", "version", "worker",
};

static const char *const wrappers[] = {
	"ccache", "colorgcc", "distcc", "icecc", "icecream", "sccache", "shoal",
};

static bool is_among(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

bool is_subcommand(const char *word)
{
	return is_among(word, subcommands, sizeof subcommands / sizeof *subcommands);
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool is_self(const char *path)
{
	struct stat self, other;
	return stat("/proc/self/exe", &self) == 0 && stat(path, &other) == 0 && self.st_dev == other.st_dev &&
	       self.st_ino == other.st_ino;
}

static bool is_candidate(const char *path)
{
	struct stat found;
	if (stat(path, &found) != 0 || !S_ISREG(found.st_mode) || access(path, X_OK) != 0)
		return false;
	if (is_self(path))
		return false;
	const char *running = getenv("SHOAL_RUNNING");
	if (running && strcmp(running, path) == 0)
		return false;
	char target[PATH_MAX];
	if (!realpath(path, target))
		return false;
	return !is_among(base_of(target), wrappers, sizeof wrappers / sizeof *wrappers);
}

/* The first candidate of that name on PATH, in fresh memory, or NULL. */
static char *find_on_path(const char *name)
{
	const char *path = getenv("PATH");
	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	char *candidate = malloc(strlen(path) + strlen(name) + 3);
	if (!candidate)
		return NULL;
	for (const char *at = path;;) {
		size_t length = strcspn(at, ":");
		if (length == 0)
			sprintf(candidate, "./%s", name);
		else
			sprintf(candidate, "%.*s/%s", (int)length, at, name);
		if (is_candidate(candidate))
			return candidate;
		if (at[length] == '\0')
			break;
		at += length + 1;
	}
	free(candidate);
	return NULL;
}

bool find_command(int argc, char **argv, struct command *command)
{
	bool prefixed = strcmp(base_of(argv[0]), "shoal") == 0;
	command->argv = prefixed ? argv + 1 : argv;
	if (prefixed && argc < 2)
		return false;
	char *word = command->argv[0];
	bool explicit = strchr(word, '/') != NULL;
	if (explicit && prefixed && !is_self(word)) {
		command->compiler = word;
		return true;
	}
	char *found = find_on_path(base_of(word));
	command->compiler = found;
	/* Our own path in argv[0] would mean nothing to the compiler, nor on a worker. */
	if (explicit && found)
		command->argv[0] = found;
	return found != NULL;
}

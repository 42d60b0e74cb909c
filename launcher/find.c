/* Which compiler is meant: the name that we stand in for, or the one that follows `shoal`, found on PATH as the shell
 * would find it, but never ourselves, another wrapper of compilers, or the wrapper script that we run under. */
#include "shoal.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
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

/* Those that `distcc` takes for itself; any other word with a dash is for the compiler. */
bool is_distcc_option(const char *word)
{
	static const char *const options[] = {"--help", "--scan-includes", "--show-hosts", "--show-principal", "--version", "-j"};
	return is_among(word, options, sizeof options / sizeof *options);
}

const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bool is_self(const struct stat *file)
{
	static struct stat self;
	static bool known;
	if (!known) {
		/* A chroot may have no /proc; the kernel also passes the name that it executed. */
		const char *executed = (const char *)getauxval(AT_EXECFN);
		if (stat("/proc/self/exe", &self) != 0 && (!executed || stat(executed, &self) != 0))
			return false;
		known = true;
	}
	return self.st_dev == file->st_dev && self.st_ino == file->st_ino;
}

/* A compiler's name that is a link to `distcc`, as a masquerade directory of distcc's has it. */
bool is_called_as_distcc(void)
{
	const char *executed = (const char *)getauxval(AT_EXECFN);
	char target[PATH_MAX];
	ssize_t length = executed ? readlink(executed, target, sizeof target - 1) : -1;
	if (length <= 0)
		return false;
	target[length] = '\0';
	return strcmp(base_of(target), "distcc") == 0;
}

/* True for a link to another wrapper (Debian's /usr/lib/ccache/gcc), unless that wrapper itself was asked for. */
static bool is_wrapper(const char *path, const char *name)
{
	struct stat link;
	char target[PATH_MAX];
	if (lstat(path, &link) != 0 || !S_ISLNK(link.st_mode) || !realpath(path, target))
		return false;
	const char *base = base_of(target);
	return strcmp(base, name) != 0 && is_among(base, wrappers, sizeof wrappers / sizeof *wrappers);
}

bool is_program(const char *path, struct stat *file)
{
	return stat(path, file) == 0 && S_ISREG(file->st_mode) && access(path, X_OK) == 0;
}

static bool is_candidate(const char *path, const char *name)
{
	struct stat file;
	return is_program(path, &file) && !is_self(&file) && !is_wrapper(path, name);
}

/* The name in the first directory of `path`, where none is the working directory; gives that directory's length. The
 * candidate needs room for both and three bytes more. */
size_t spell_candidate(char *candidate, const char *path, const char *name)
{
	size_t length = strcspn(path, ":");
	if (length == 0)
		sprintf(candidate, "./%s", name);
	else
		sprintf(candidate, "%.*s/%s", (int)length, path, name);
	return length;
}

/* A wrapper named gcc may look for "the next gcc on PATH" and find us, who would find the wrapper: so what a launcher
 * becomes is named in the environment, with the process that it is (run.c). That process, if it runs us again, and its
 * children get what stands after it on PATH; of a wrapper, all that is below it, since it may well call the next one under
 * timeout or in a pipeline. Below a compiler itself, only those: one that runs its own name deep below (lto-wrapper by way
 * of make) means itself, and a later namesake may be of another version. */
static const char *compiler_above(void)
{
	const char *running = getenv("SHOAL_RUNNING");
	if (!running)
		return NULL;
	char *mark, state;
	pid_t process = strtol(running, &mark, 10), pid = getppid();
	bool is_above = process == getpid() || process == pid;
	if (*mark == '+')
		for (int depth = 0; !is_above && pid > 1 && depth < most_ancestors && look_at_process(pid, &state, &pid); depth++)
			is_above = process == pid;
	return is_above && (*mark == ':' || *mark == '+') ? mark + 1 : NULL;
}

/* The first candidate of that name on PATH, in fresh memory, or NULL. */
static char *find_on_path(const char *name)
{
	const char *path = getenv("PATH");
	const char *above = compiler_above();
	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	char *candidate = malloc(strlen(path) + strlen(name) + 3);
	char *found = NULL;
	for (const char *at = path; candidate;) {
		size_t length = spell_candidate(candidate, at, name);
		if (above && strcmp(above, candidate) == 0) {
			free(found);
			found = NULL;
		} else if (!found && is_candidate(candidate, name)) {
			found = strdup(candidate);
		}
		if (at[length] == '\0' || (found && !above))
			break;
		at += length + 1;
	}
	free(candidate);
	return found;
}

/* Whether PATH has that name, and all that stands behind it is us. */
bool finds_ourselves_alone(const char *name)
{
	const char *path = getenv("PATH");
	char *candidate = path ? malloc(strlen(path) + strlen(name) + 3) : NULL;
	bool found = false, more = candidate != NULL;
	struct stat file;
	for (const char *at = path; more && !found; at++) {
		at += spell_candidate(candidate, at, name);
		found = is_program(candidate, &file) && is_self(&file);
		more = *at != '\0';
	}
	free(candidate);
	return found;
}

/* Finds the compiler that argv[0] means. */
bool find_compiler(struct command *command)
{
	char *word = command->argv[0];
	struct stat file;
	command->name = word;
	if (strchr(word, '/') && (stat(word, &file) != 0 || !is_self(&file))) {
		command->compiler = word;
		return true;
	}
	command->compiler = find_on_path(base_of(word));
	if (!command->compiler)
		return false;
	/* Who calls our link by its path found it on PATH, and would have found the compiler there. */
	if (strchr(word, '/'))
		command->name = command->compiler;
	/* A driver called by its bare name looks itself up on PATH and takes its own place from there; where it cannot be
	 * made to find itself (run.c), it sees where it is. */
	command->argv[0] = command->compiler;
	return true;
}

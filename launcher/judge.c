/* What waits for a slot where no daemon says so: what looks like a compile or a link, and not like a question. In doubt a
 * command runs at once: a configure step that waits behind a build costs more than one compile too many. */
#include "shoal.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Parts of the names that compilers have; a shell with -c is none. */
static const char *const compilers[] = {"cc", "++", "clang", "c89", "c99", "fortran"};

/* As in src/compiler/command-line.ts. */
static const char *const probe_sources[] = {
	"conftest", "_configtest", "testCCompiler", "testCXXCompiler", "sanitycheckc", "sanitycheckcpp",
};
static const char *const probe_directories[] = {
	"CMakeScratch", "CMakeTmp", "meson-private", "meson-uninstalled-private",
};

#define COUNT(array) (sizeof array / sizeof *array)

static bool is_compiler(const char *name)
{
	for (size_t i = 0; i < COUNT(compilers); i++)
		if (strstr(name, compilers[i]))
			return true;
	return false;
}

static bool is_within_probe_directory(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		for (size_t i = 0; i < COUNT(probe_directories); i++)
			if (strncmp(part, probe_directories[i], strcspn(part, "/")) == 0 &&
			    probe_directories[i][strcspn(part, "/")] == '\0')
				return true;
	}
	return false;
}

static bool is_numbered(const char *name, size_t length, const char *before)
{
	size_t at = strlen(before);
	if (length <= at || strncmp(name, before, at) != 0)
		return false;
	while (at < length && isdigit((unsigned char)name[at]))
		at++;
	return at == length;
}

static bool ends_in(const char *name, size_t length, const char *end)
{
	return length >= strlen(end) && strncmp(name + length - strlen(end), end, strlen(end)) == 0;
}

static bool is_probe_source(const char *word)
{
	const char *name = base_of(word), *dot = strrchr(name, '.');
	size_t length = dot ? (size_t)(dot - name) : 0;
	for (size_t i = 0; i < COUNT(probe_sources); i++)
		if (length == strlen(probe_sources[i]) && strncmp(name, probe_sources[i], length) == 0)
			return true;
	return is_numbered(name, length, "ztest") || (strncmp(name, "CMake", 5) == 0 && ends_in(name, length, "CompilerId")) ||
	       (strncmp(name, "CMake", 5) == 0 && ends_in(name, length, "CompilerABI"));
}

/* Whoever reads standard input, or writes to standard output, may be waiting for another compile of its pipeline. */
bool is_in_pipeline(char **argv)
{
	for (char **arg = argv + 1; *arg; arg++)
		if (strcmp(*arg, "-") == 0)
			return true;
	return false;
}

bool is_likely_compile(const struct command *command)
{
	const char *directory = getenv("PWD");
	bool makes = false;
	if (!is_compiler(base_of(command->compiler)) || (directory && is_within_probe_directory(directory)))
		return false;
	for (char **arg = command->argv + 1; *arg; arg++) {
		if (strcmp(*arg, "-E") == 0)
			return false;
		if (strcmp(*arg, "-c") == 0 || strcmp(*arg, "-S") == 0 || strcmp(*arg, "-o") == 0 ||
		    strcmp(*arg, "-fsyntax-only") == 0)
			makes = true;
		else if (**arg != '-' &&
			 (strcmp(*arg, "/dev/null") == 0 || is_probe_source(*arg) || is_within_probe_directory(*arg)))
			return false;
	}
	return makes;
}

/* What a daemon would very likely have sent elsewhere: the processor here must not decide the code. */
bool is_likely_remote(const struct command *command)
{
	bool compiles = false;
	if (!is_likely_compile(command))
		return false;
	for (char **arg = command->argv + 1; *arg; arg++) {
		if (strcmp(*arg, "-c") == 0 || strcmp(*arg, "-S") == 0)
			compiles = true;
		else if (strncmp(*arg, "-m", 2) == 0 && ends_in(*arg, strlen(*arg), "=native"))
			return false;
	}
	return compiles;
}

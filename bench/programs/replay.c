/*
 * A compiler proper that plays back: under the names cc1 and cc1plus it stands in the place of the compiler that gcc's driver
 * runs, and takes for each source that was once really compiled as long as that took, and gives the same object. What was
 * not recorded (and every preprocessing) is done by the real one, which stands beside it as cc1.real and cc1plus.real.
 *
 * The object travels in the file that would hold assembler text; under the name `as` this program copies it out again.
 *
 * A source is known by its name on the command line; preprocessed text by its first line marker, wherever it comes from.
 * The recording is part of the program, so that it is wherever a farm carries its compilers:
 *   name TAB µs of the whole compile TAB µs of that of preprocessed text TAB place TAB object's size TAB dependencies' size LF
 *   ... an empty line, then at each place, counted from here, an object and the dependency file behind it.
 *
 * A soft limit on file locks (RLIMIT_LOCKS, which Linux has not looked at since 2.4.25) says how slow the box is meant to be:
 * 2000 is half as fast. It goes from a daemon to all that it starts, through sandboxes and changes of user.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

__asm__(".section .rodata\n"
	".global recording, recording_end\n"
	"recording: .incbin \"" RECORDING "\"\n"
	".byte 0\n"
	"recording_end:\n"
	".previous\n");
extern const char recording[], recording_end[];

enum { as_it_is = 1000 };

struct entry {
	long whole_us, text_us;
	const char *object, *dependencies;
	size_t object_size, dependencies_size;
};

static void fail(const char *what)
{
	fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
	exit(3);
}

static int find(const char *name, size_t length, struct entry *found)
{
	for (const char *line = recording; *line != '\n'; line = strchr(line, '\n') + 1) {
		const char *tab = strchr(line, '\t');
		if ((size_t)(tab - line) != length || memcmp(line, name, length) != 0)
			continue;
		size_t place;
		if (sscanf(tab, "%ld %ld %zu %zu %zu", &found->whole_us, &found->text_us, &place, &found->object_size,
			   &found->dependencies_size) != 5)
			return 0;
		found->object = strstr(line, "\n\n") + 2 + place;
		found->dependencies = found->object + found->object_size;
		return 1;
	}
	return 0;
}

static void write_all(const char *path, const char *bytes, size_t size)
{
	int file = strcmp(path, "-") == 0 ? 1 : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	while (file >= 0 && size > 0) {
		ssize_t written = write(file, bytes, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			break;
		bytes += written;
		size -= written;
	}
	if (file < 0 || size > 0)
		fail(path);
	if (file > 1)
		close(file);
}

static void rest_until(const struct timespec *start, long us)
{
	struct rlimit pace;
	if (getrlimit(RLIMIT_LOCKS, &pace) == 0 && pace.rlim_cur != RLIM_INFINITY)
		us = us * (long)pace.rlim_cur / as_it_is;
	struct timespec end = {start->tv_sec + us / 1000000, start->tv_nsec + us % 1000000 * 1000};
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
}

static int ends_in(const char *word, const char *end)
{
	size_t length = strlen(word), wanted = strlen(end);
	return length >= wanted && strcmp(word + length - wanted, end) == 0;
}

/* The name in the first line marker of preprocessed text: # 0 "name" */
static int find_text(const char *path, struct entry *found)
{
	static char start[8192];
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	if (!file)
		return 0;
	start[fread(start, 1, sizeof start - 1, file)] = 0;
	char rest[65536];
	while (file == stdin && fread(rest, 1, sizeof rest, file) > 0)
		; /* whoever sends it waits until it is read */
	if (file != stdin)
		fclose(file);
	for (char *at = strstr(start, "# "); at; at = strstr(at + 1, "\n# ")) {
		char *name = strchr(at, '"'), *end = name ? strchr(name + 1, '"') : NULL;
		if (end && name[1] != '<' && find(name + 1, end - name - 1, found))
			return 1;
	}
	return 0;
}

/* What is beside this program under its own name and `.real`. */
static void be_the_real_one(char **argv)
{
	static char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 6);
	if (length < 0)
		fail("/proc/self/exe");
	strcpy(self + length, ".real");
	argv[0] = self;
	execv(self, argv);
	fail(self);
}

static int assemble(int argc, char **argv)
{
	const char *output = "a.out", *input = argv[argc - 1];
	for (int at = 1; at + 1 < argc; at++)
		if (strcmp(argv[at], "-o") == 0)
			output = argv[at + 1];
	int file = open(input, O_RDONLY);
	struct stat found;
	char magic[4];
	if (file < 0 || fstat(file, &found) != 0 || read(file, magic, 4) != 4 || memcmp(magic, "\177ELF", 4) != 0)
		be_the_real_one(argv);
	char *bytes = malloc(found.st_size);
	if (!bytes || pread(file, bytes, found.st_size, 0) != found.st_size)
		fail(input);
	write_all(output, bytes, found.st_size);
	return 0;
}

int main(int argc, char **argv)
{
	struct timespec start;
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (strcmp(basename(strdupa(argv[0])), "as") == 0)
		return assemble(argc, argv);
	const char *output = NULL, *dependencies = NULL;
	struct entry entry;
	int known = 0, is_text = 0;
	for (int at = 1; at < argc; at++) {
		const char *word = argv[at];
		if (strcmp(word, "-E") == 0)
			be_the_real_one(argv);
		else if (strcmp(word, "-o") == 0 && at + 1 < argc)
			output = argv[++at];
		else if ((strcmp(word, "-MD") == 0 || strcmp(word, "-MMD") == 0) && at + 1 < argc)
			dependencies = argv[++at];
		else if (!known && (strcmp(word, "-") == 0 || ends_in(word, ".i") || ends_in(word, ".ii")))
			known = is_text = find_text(word, &entry);
		else if (!known && word[0] != '-')
			known = find(word, strlen(word), &entry);
	}
	if (!known || !output)
		be_the_real_one(argv);
	rest_until(&start, is_text ? entry.text_us : entry.whole_us);
	write_all(output, entry.object, entry.object_size);
	if (dependencies)
		write_all(dependencies, entry.dependencies, entry.dependencies_size);
	return 0;
}

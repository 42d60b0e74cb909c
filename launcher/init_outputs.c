/* What the job left. Read by the leader, in the job's own root, when no other process of the job is left. A path is
 * followed through plain directories only; what is no regular file is not read, and a size is known before it is. */
#include "init.h"
#include "init_kernel.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { deepest_output = 64, most_output_entries = 100000 };
enum { plain_file, executable_file, symbolic_link, directory };

struct budget {
	uint64_t bytes, entries;
};

static int open_beneath(int place, const char *name, int flags)
{
	struct kernel_open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve_beneath | resolve_no_symlinks | resolve_no_magiclinks,
	};
	return syscall(nr_openat2, place, name, &how, sizeof how);
}

/* u8 kind, path and NUL, then content or target */
static void begin_entry(unsigned char kind, const char *path, size_t size)
{
	size_t length = strlen(path) + 1;
	begin_reply('O', 1 + length + size);
	add_to_reply(&kind, 1);
	add_to_reply(path, length);
}

static void reply_file(int fd, const struct stat *found, const char *path, struct budget *budget)
{
	uint64_t size = found->st_size;
	if (size > budget->bytes) {
		reply_trouble("output-limit");
		return;
	}
	budget->bytes -= size;
	begin_entry(found->st_mode & 0111 ? executable_file : plain_file, path, size);
	add_file_to_reply(fd, size);
}

/* A link as the last component is itself an output. */
static void reply_link(int place, const char *name, const char *path)
{
	char target[PATH_MAX];
	int link = open_beneath(place, name, O_PATH | O_NOFOLLOW);
	ssize_t length = link < 0 ? -1 : readlinkat(link, "", target, sizeof target);
	if (length > 0) {
		begin_entry(symbolic_link, path, length);
		add_to_reply(target, length);
	}
	if (link >= 0)
		close(link);
}

static void reply_entry(int place, const char *name, char path[static PATH_MAX], struct budget *budget, int depth);

/* Closes the descriptor. */
static void reply_directory(int fd, char path[static PATH_MAX], struct budget *budget, int depth)
{
	size_t length = strlen(path), separator = length > 0;
	begin_entry(directory, path, 0);
	DIR *entries = fdopendir(fd);
	for (struct dirent *entry; entries && (entry = readdir(entries));) {
		size_t name_length = strlen(entry->d_name);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (length + separator + name_length >= PATH_MAX)
			continue;
		memcpy(path + length, "/", separator);
		memcpy(path + length + separator, entry->d_name, name_length + 1);
		reply_entry(fd, entry->d_name, path, budget, depth + 1);
		path[length] = '\0';
	}
	if (entries)
		closedir(entries);
}

/* `name` in the directory `place`; `path` is what the answer calls it. What is absent or strange is left out. */
static void reply_entry(int place, const char *name, char path[static PATH_MAX], struct budget *budget, int depth)
{
	struct stat found;
	if (budget->entries == 0 || depth > deepest_output) {
		reply_trouble("output-limit");
		return;
	}
	budget->entries--;
	int fd = open_beneath(place, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ELOOP)
		reply_link(place, name, path);
	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) {
		reply_directory(fd, path, budget, depth);
		return;
	}
	if (S_ISREG(found.st_mode))
		reply_file(fd, &found, path, budget);
	close(fd);
}

void reply_outputs(const struct job *job)
{
	struct budget budget = {.bytes = job->output_bytes, .entries = most_output_entries};
	if (chdir("/") != 0 || (job->within && chdir(job->mount_at) != 0))
		fail("entering", "the input root");
	int root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < job->outputs.count; i++) {
		char path[PATH_MAX];
		strcpy(path, job->outputs.items[i]);
		reply_entry(root, path[0] ? path : ".", path, &budget, 0);
	}
}

/* What the job left. Read by the leader, in the job's own root, when no other process of the job is left: a link can only
 * lead to the job's own files, and none is followed; what is no regular file is not opened for reading. */
#include "init.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { deepest_output = 64, most_output_entries = 100000 };

struct budget {
	uint64_t bytes, entries;
};

static int open_beneath(int root, const char *path, int flags)
{
	struct open_how how = {
		/* O_PATH opens nothing, and openat2 takes no other mode beside it. */
		.flags = flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	return syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* u8 kind (0 file, 1 executable file, 2 symbolic link, 3 directory), path and NUL, then content or target */
static void reply_entry(unsigned char kind, const char *path, const void *content, size_t size)
{
	static unsigned char head[PATH_MAX + 2];
	size_t length = strlen(path) + 1;
	head[0] = kind;
	memcpy(head + 1, path, length);
	reply('O', head, length + 1, content, size);
}

static void reply_file(int fd, const struct stat *found, const char *path, struct budget *budget)
{
	uint64_t size = found->st_size;
	if (size > budget->bytes) {
		reply_trouble("output-limit");
		return;
	}
	budget->bytes -= size;
	unsigned char *content = malloc(size + 1);
	if (!content) {
		reply_trouble("output-limit");
		return;
	}
	uint64_t done = 0;
	for (ssize_t got; done < size && (got = read(fd, content + done, size - done)) > 0;)
		done += got;
	reply_entry(found->st_mode & 0111 ? 1 : 0, path, content, done);
	free(content);
}

static void reply_path(int root, const char *path, struct budget *budget, int depth);

static void reply_directory(int fd, const char *path, struct budget *budget, int depth)
{
	char below[PATH_MAX];
	reply_entry(3, path, NULL, 0);
	DIR *directory = fdopendir(dup(fd));
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "/" : "", entry->d_name) < (int)sizeof below)
			reply_path(AT_FDCWD, below, budget, depth + 1);
	}
	if (directory)
		closedir(directory);
}

static void reply_path(int root, const char *path, struct budget *budget, int depth)
{
	struct stat found;
	char target[PATH_MAX];
	if (budget->entries == 0 || depth > deepest_output) {
		reply_trouble("output-limit");
		return;
	}
	budget->entries--;
	int place = open_beneath(root, path[0] ? path : ".", O_PATH | O_NOFOLLOW);
	/* A link as the last component is itself an output; openat2 refuses to open it. */
	if (place < 0 && errno == ELOOP) {
		ssize_t length = readlink(path, target, sizeof target);
		if (length > 0)
			reply_entry(2, path, target, length);
		return;
	}
	if (place < 0 || fstat(place, &found) != 0)
		return;
	close(place);
	bool is_directory = S_ISDIR(found.st_mode);
	if (!is_directory && !S_ISREG(found.st_mode))
		return;
	int fd = open_beneath(root, path[0] ? path : ".", is_directory ? O_RDONLY | O_DIRECTORY : O_RDONLY);
	if (fd < 0 || fstat(fd, &found) != 0)
		return;
	if (is_directory)
		reply_directory(fd, path, budget, depth);
	else
		reply_file(fd, &found, path, budget);
	close(fd);
}

void reply_outputs(const struct job *job)
{
	struct budget budget = {.bytes = job->output_bytes, .entries = most_output_entries};
	if (chdir("/") != 0 || (job->within && chdir(job->mount_at) != 0))
		fail("the input root");
	for (size_t i = 0; i < job->outputs.count; i++)
		reply_path(AT_FDCWD, job->outputs.items[i], &budget, 0);
}

/* The root of one job: a tmpfs that holds what is the job's own, under an overlay over the layers that jobs share. Runs
 * in the leader, whose mount namespace is fresh; when the leader ends, all of it vanishes. */
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Places in the slot's root, which init.c lays out: /s the worker's state, /h the box (slots for plain actions only),
 * /null the device, /j where each leader mounts its tmpfs. */

bool make_directories(const char *path, bool and_last)
{
	char prefix[PATH_MAX];
	size_t length = strlen(path);
	if (length >= sizeof prefix)
		return (errno = ENAMETOOLONG, false);
	memcpy(prefix, path, length + 1);
	/* Mostly the parents are there already: try the whole first. */
	for (size_t at = 1; at <= length; at++) {
		if (prefix[at] != '/' && prefix[at] != '\0')
			continue;
		if (prefix[at] == '\0' && !and_last)
			break;
		char kept = prefix[at];
		prefix[at] = '\0';
		if (mkdir(prefix, 0755) != 0 && errno != EEXIST)
			return false;
		prefix[at] = kept;
	}
	return true;
}

static void upper_path(char path[static PATH_MAX], const char *base, const char *relative)
{
	if (snprintf(path, PATH_MAX, "%s/%s", base, relative) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		fail("a path of the job");
	}
}

static void write_addition(const char *base, const struct addition *addition)
{
	char path[PATH_MAX];
	upper_path(path, base, addition->path);
	if (!make_directories(path, false))
		fail("parents of an input");
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, addition->executable ? 0755 : 0644);
	if (fd < 0)
		fail("an input");
	for (size_t done = 0; done < addition->size;) {
		ssize_t written = write(fd, addition->content + done, addition->size - done);
		if (written <= 0)
			fail("writing an input");
		done += written;
	}
	if (addition->has_mtime) {
		int64_t ns = addition->mtime_ns % 1000000000;
		if (ns < 0)
			ns += 1000000000;
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {(addition->mtime_ns - ns) / 1000000000, ns}};
		if (futimens(fd, times) != 0)
			fail("an input's time");
	}
	close(fd);
}

/* What the job adds to, or takes from, the layers below. */
static void write_difference(const struct job *job, const char *base)
{
	char path[PATH_MAX];
	for (size_t i = 0; i < job->directories.count; i++) {
		upper_path(path, base, job->directories.items[i]);
		if (!make_directories(path, true))
			fail("a directory");
	}
	for (size_t i = 0; i < job->addition_count; i++)
		write_addition(base, &job->additions[i]);
	for (size_t i = 0; i < job->link_count; i++) {
		upper_path(path, base, job->links[i].path);
		if (!make_directories(path, false) || symlink(job->links[i].target, path) != 0)
			fail("a symbolic link");
	}
	for (size_t i = 0; i < job->deletions.count; i++) {
		upper_path(path, base, job->deletions.items[i]);
		/* A character device 0:0 is overlayfs' mark of absence; making one needs no privilege since Linux 5.8. */
		if (!make_directories(path, false) || mknod(path, S_IFCHR, makedev(0, 0)) != 0)
			fail("a deletion");
	}
}

static void mount_tmpfs(const struct job *job)
{
	char options[96];
	snprintf(options, sizeof options, "size=%llu,nr_inodes=200000,mode=755", (unsigned long long)job->disk_bytes);
	if (mount("tmpfs", "/j", "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
		fail("the job's tmpfs");
	if (mkdir("/j/u", 0755) != 0 || mkdir("/j/w", 0755) != 0 || mkdir("/j/m", 0755) != 0)
		fail("directories of the job's tmpfs");
}

/* An overlay of /j/u over the lower directories, on `target`. */
static void mount_overlay(const struct job *job, const char *target)
{
	static char options[4096]; /* mount(2) takes one page */
	size_t used = snprintf(options, sizeof options, "upperdir=/j/u,workdir=/j/w,userxattr,lowerdir=");
	for (size_t i = 0; i < job->lower.count; i++) {
		used += snprintf(options + used, sizeof options - used, "%s/s/%s", i ? ":" : "", job->lower.items[i]);
		if (used >= sizeof options) {
			errno = E2BIG;
			fail("too many layers");
		}
	}
	if (job->lower.count == 0) {
		if (mount("/j/u", target, NULL, MS_BIND, NULL) != 0)
			fail("the job's root");
	} else if (mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options) != 0)
		fail("overlay");
}

static void bind_null(const char *root)
{
	char path[PATH_MAX];
	upper_path(path, root, "dev/null");
	if (mount("/null", path, NULL, MS_BIND, NULL) != 0)
		fail("/dev/null");
}

static void make_device_places(const char *base)
{
	char path[PATH_MAX];
	static const char *const directories[] = {"dev", "proc", "tmp"};
	for (size_t i = 0; i < 3; i++) {
		upper_path(path, base, directories[i]);
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			fail("a directory of the root");
	}
	if (chmod(path, 01777) != 0)
		fail("/tmp");
	upper_path(path, base, "dev/null");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("the place of /dev/null");
	close(fd);
}

/* TMPDIR names a place that the client has; here it is one of the job's own. */
static void make_tmpdir(const struct job *job, const char *base)
{
	for (size_t i = 0; i < job->env.count; i++) {
		const char *value = job->env.items[i];
		char path[PATH_MAX];
		if (strncmp(value, "TMPDIR=/", 8) != 0 || strstr(value, "/.."))
			continue;
		upper_path(path, base, value + 8);
		make_directories(path, true);
	}
}

/* The box's own directories, read-only, for plain actions: they expect the tools of the worker. */
static void bind_host(const struct job *job)
{
	char from[PATH_MAX], to[PATH_MAX], target[PATH_MAX];
	for (size_t i = 0; i < job->host.count; i++) {
		struct stat found;
		upper_path(from, "/h", job->host.items[i]);
		upper_path(to, "/j/r", job->host.items[i]);
		if (lstat(from, &found) != 0 || !make_directories(to, false))
			continue;
		if (S_ISLNK(found.st_mode)) {
			ssize_t length = readlink(from, target, sizeof target - 1);
			target[length > 0 ? length : 0] = '\0';
			if (symlink(target, to) != 0)
				fail("a link of the box");
			continue;
		}
		int made = S_ISDIR(found.st_mode) ? mkdir(to, 0755) : close(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
		if (made != 0 || mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0)
			fail("a directory of the box");
	}
}

static void enter(const char *root)
{
	if (chdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		fail("entering the root");
}

void enter_job_root(const struct job *job)
{
	char path[PATH_MAX];
	mount_tmpfs(job);
	write_difference(job, "/j/u");
	const char *root = "/j/m";
	if (job->within) {
		root = "/j/r";
		if (mkdir(root, 0755) != 0)
			fail("the root");
		make_device_places(root);
		make_tmpdir(job, root);
		bind_host(job);
		upper_path(path, root, job->mount_at);
		if (!make_directories(path, true))
			fail("the place of the input root");
		mount_overlay(job, path);
		if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) != 0)
			fail("the root's mount");
	} else {
		make_device_places("/j/u");
		make_tmpdir(job, "/j/u");
		mount_overlay(job, root);
	}
	bind_null(root);
	upper_path(path, root, "proc");
	if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		fail("/proc");
	enter(root);
}

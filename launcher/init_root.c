/* The root of one job: a tmpfs that holds what is the job's own, under an overlay over the layers that jobs share. Runs
 * in the leader, whose mount namespace is fresh; when the leader ends, all of it vanishes.
 *
 * What the job adds is written before the overlay is mounted, and so are the directories in which it writes: one that
 * exists only below belongs to the worker, who may have another uid, and the owner of the upper one counts.
 * Of devices there are null, and urandom, from which gcc makes the names of anonymous things. */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { most_inodes = 200000, option_bytes = 4096 /* mount(2) takes one page */ };

static void mount_at(const char *source, const char *place, const char *type, unsigned long flags, const char *options)
{
	if (mount(source, place, type, flags, options) != 0)
		fail("mounting", type ? type : place);
}

/* What the layers have at a path: its mode, or 0. */
static mode_t mode_below(const struct job *job, const char *path)
{
	for (size_t i = 0; i < job->lower.count; i++) {
		char place[2 * PATH_MAX];
		struct stat found;
		snprintf(place, sizeof place, "/s/%s/%s", job->lower.items[i], path);
		if (lstat(place, &found) == 0)
			return found.st_mode;
	}
	return 0;
}

/* `over`: the job above whose layers it is made, if any. There, a directory would hide a link or a file of the same name,
 * and the job see another tree than its own: that is refused. */
static bool make_directory(const struct job *over, const char *path)
{
	if (mkdir(path, 0755) != 0)
		return errno == EEXIST;
	mode_t below = over && over->lower.count > 0 ? mode_below(over, path) : 0;
	if (below == 0 || S_ISDIR(below))
		return true;
	rmdir(path);
	errno = ENOTDIR;
	return false;
}

/* The directories above a relative path and, if wanted, the path itself. */
static bool make_directories(const struct job *over, const char *path, bool and_last)
{
	char prefix[PATH_MAX];
	strcpy(prefix, path);
	for (char *end = prefix; *end; end++) {
		end += strcspn(end, "/");
		bool is_last = *end == '\0';
		if (is_last && !and_last)
			return true;
		*end = '\0';
		if (!make_directory(over, prefix))
			return false;
		if (is_last)
			return true;
		*end = '/';
	}
	return true;
}

static int create_file(const struct job *over, const char *path, mode_t mode)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags, mode);
	/* Mostly the parents are there already. */
	if (fd < 0 && errno == ENOENT && make_directories(over, path, false))
		fd = open(path, flags, mode);
	if (fd < 0)
		fail("creating", path);
	return fd;
}

static void write_addition(const struct job *job, const struct addition *addition)
{
	int fd = create_file(job, addition->path, addition->executable ? 0755 : 0644);
	for (size_t done = 0; done < addition->size;) {
		ssize_t written = write(fd, addition->content + done, addition->size - done);
		if (written <= 0)
			fail("writing", addition->path);
		done += written;
	}
	if (addition->has_mtime) {
		int64_t ns = addition->mtime_ns % 1000000000;
		if (ns < 0)
			ns += 1000000000;
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {(addition->mtime_ns - ns) / 1000000000, ns}};
		if (futimens(fd, times) != 0)
			fail("dating", addition->path);
	}
	close(fd);
}

/* What the job adds to, or takes from, the layers. Links last, so that nothing is written through one. */
static void write_difference(const struct job *job)
{
	for (size_t i = 0; i < job->directories.count; i++)
		if (!make_directories(job, job->directories.items[i], true))
			fail("creating", job->directories.items[i]);
	for (size_t i = 0; i < job->addition_count; i++)
		write_addition(job, &job->additions[i]);
	for (size_t i = 0; i < job->deletions.count; i++) {
		const char *path = job->deletions.items[i];
		/* A character device 0:0 is overlayfs' mark of absence; making one needs no privilege since Linux 5.8. */
		if (!make_directories(job, path, false) || mknod(path, S_IFCHR, 0) != 0)
			fail("deleting", path);
	}
}

static void write_links(const struct job *job)
{
	for (size_t i = 0; i < job->link_count; i++) {
		const struct link *link = &job->links[i];
		if (!make_directories(job, link->path, false) || symlink(link->target, link->path) != 0)
			fail("linking", link->path);
	}
}

/* TMPDIR names a place that the client has; here it is one of the job's own, where nothing else is in the way. */
static void make_temporary(const struct job *job, const struct job *over)
{
	make_directories(over, "tmp", true);
	chmod("tmp", 01777);
	for (size_t i = 0; i < job->env.count; i++) {
		const char *value = job->env.items[i];
		if (strncmp(value, "TMPDIR=/", 8) == 0 && strlen(value) < PATH_MAX && !strstr(value, "/.."))
			make_directories(over, value + 8, true);
	}
}

/* What every root has, in the current directory. */
static void write_base(const struct job *job, const struct job *over)
{
	make_temporary(job, over);
	close(create_file(over, "dev/null", 0644));
	close(create_file(over, "dev/urandom", 0644));
	if (!make_directories(over, "proc", true))
		fail("creating", "proc");
}

void write_bare_difference(const struct job *job)
{
	struct job made = *job;
	made.deletions.count = 0; /* there is nothing below to hide */
	write_difference(&made);
	make_temporary(job, NULL);
	if (!make_directories(NULL, "dev", true))
		fail("creating", "dev");
	write_links(job);
}

/* An overlay of /j/u over the layers. Their paths are relative to /s, which leaves room for more of them in a page. */
static void mount_overlay(const struct job *job, const char *place)
{
	char options[option_bytes];
	size_t used = snprintf(options, sizeof options, "userxattr,upperdir=/j/u,workdir=/j/w,lowerdir=");
	for (size_t i = 0; i < job->lower.count; i++) {
		const char *path = job->lower.items[i];
		/* The option string gives a meaning to some characters. */
		errno = strpbrk(path, ",:\\") ? EINVAL : E2BIG;
		if (errno == EINVAL || used + strlen(path) + sizeof ":./" > sizeof options)
			fail("stacking", path);
		used += snprintf(options + used, sizeof options - used, "%s./%s", i ? ":" : "", path);
	}
	if (chdir("/s") != 0)
		fail("entering", "the state directory");
	if (job->lower.count == 0)
		mount_at("/j/u", place, NULL, MS_BIND, NULL);
	else
		mount_at("overlay", place, "overlay", MS_NOSUID | MS_NODEV, options);
}

static int open_directory(const char *place, const char *path)
{
	struct kernel_open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
	                              .resolve = resolve_beneath | resolve_no_symlinks | resolve_no_magiclinks};
	int root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int directory = root < 0 ? -1 : syscall(nr_openat2, root, path, &how, sizeof how);
	int error = errno;
	close(root);
	errno = error;
	return directory;
}

/* `path` below `place` at the directory `target`, as it is. */
static void show_directory(const char *place, int target, const char *path)
{
	int source = target < 0 ? -1 : open_directory(place, path);
	if (source < 0)
		fail("opening", path);
	int tree = syscall(nr_open_tree, source, "", open_tree_clone | AT_EMPTY_PATH | O_CLOEXEC);
	if (tree < 0 || syscall(nr_move_mount, tree, "", target, "", move_mount_f_empty_path | move_mount_t_empty_path) != 0)
		fail("showing", path);
	close(tree);
	close(source);
	close(target);
}

/* Directories that one layer has alone, and in which the job changes nothing, directly: an overlay's way to a file costs
 * 0.5 us more for each name on it, some 3 ms a compile. What they show is the same. Links are not followed: the target
 * is a place in the root, the source one below the layer. */
static void mount_whole_directories(const struct job *job)
{
	char root[PATH_MAX + 16], layer[PATH_MAX + 16];
	snprintf(root, sizeof root, "/j/m/%s", job->within ? job->mount_at : "");
	for (size_t i = 0; i < job->bind_count; i++) {
		const struct link *bind = &job->binds[i];
		snprintf(layer, sizeof layer, "/s/%s", bind->target);
		int target = open_directory(root, bind->path);
		/* Something higher hides it: the overlay is right as it is. */
		if (target < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		show_directory(layer, target, bind->path);
	}
}

static void show_host_path(const struct host_path *host, int index)
{
	if (!host->link && host->tree < 0)
		return; /* the box does not have it */
	if (!make_directories(NULL, host->path, host->is_directory))
		fail("creating", host->path);
	if (host->link) {
		if (symlink(host->link, host->path) != 0)
			fail("linking", host->path);
		return;
	}
	char source[16];
	snprintf(source, sizeof source, "/h/%d", index);
	if (!host->is_directory)
		close(create_file(NULL, host->path, 0644));
	mount_at(source, host->path, NULL, MS_BIND | MS_REC, NULL);
}

/* The box's own paths, read-only, for plain actions: they expect the tools of the worker. */
static void show_host(const struct job *job, const struct slot *slot)
{
	for (size_t i = 0; i < job->host.count; i++) {
		const char *wanted = job->host.items[i];
		int index = 0;
		while (index < slot->host_count && strcmp(slot->hosts[index].path, wanted) != 0)
			index++;
		if (index == slot->host_count) {
			errno = EACCES;
			fail("showing", wanted);
		}
		show_host_path(&slot->hosts[index], index);
	}
}

/* Directories of the box below its host paths, over what the layers have there: a compiler's headers, for jobs of clients
 * that leave those to the worker. */
static void show_host_directories(const struct job *job, const struct slot *slot)
{
	for (size_t i = 0; i < job->host.count; i++) {
		const char *wanted = job->host.items[i];
		int index = 0;
		size_t length = 0;
		for (; index < slot->host_count; index++) {
			length = strlen(slot->hosts[index].path);
			if (slot->hosts[index].tree >= 0 && !strncmp(wanted, slot->hosts[index].path, length) && wanted[length] == '/')
				break;
		}
		if (index == slot->host_count) {
			errno = EACCES;
			fail("showing", wanted);
		}
		char place[16];
		snprintf(place, sizeof place, "/h/%d", index);
		show_directory(place, open_directory("/j/m", wanted), wanted + length + 1);
	}
}

/* A directory of the tmpfs as root, with the input root somewhere in it. */
static void build_around(const struct job *job, const struct slot *slot)
{
	char place[PATH_MAX + 16];
	mount_at("/j/m", "/j/m", NULL, MS_BIND, NULL);
	if (chdir("/j/m") != 0)
		fail("entering", "the root");
	write_base(job, NULL);
	show_host(job, slot);
	if (!make_directories(NULL, job->mount_at, true))
		fail("creating", job->mount_at);
	snprintf(place, sizeof place, "/j/m/%s", job->mount_at);
	mount_overlay(job, place);
}

void enter_job_root(const struct job *job, const struct slot *slot)
{
	char options[96];
	snprintf(options, sizeof options, "size=%llu,nr_inodes=%d,mode=755", (unsigned long long)job->disk_bytes, most_inodes);
	mount_at("tmpfs", "/j", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, options);
	if (mkdir("/j/u", 0755) != 0 || mkdir("/j/w", 0755) != 0 || mkdir("/j/m", 0755) != 0 || chdir("/j/u") != 0)
		fail("creating", "the root");
	write_difference(job);
	if (!job->within)
		write_base(job, job);
	write_links(job);
	if (job->within)
		build_around(job, slot);
	else
		mount_overlay(job, "/j/m");
	mount_whole_directories(job);
	if (!job->within)
		show_host_directories(job, slot);
	if (chdir("/j/m") != 0)
		fail("entering", "the root");
	mount_at("/null", "dev/null", NULL, MS_BIND, NULL);
	mount_at("/urandom", "dev/urandom", NULL, MS_BIND, NULL);
	/* Compilers look themselves up in /proc/self; other tools want more of it. */
	mount_at("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, job->within ? NULL : "subset=pid");
	if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		fail("pivot_root", NULL);
}

/* The root of one job where there are no namespaces (--contain=none): a directory of hard links to the layers, which the
 * leader makes and enters by chroot, as root. The job is a user of its own, under the same limits and filter; but it sees
 * the box's processes and network devices, shares one /tmp quota with the disk, and what it leaves is removed by hand.
 *
 * Everything is made after the chroot, so that no link of an input tree leads out of it; the layers are reached by
 * descriptors that were opened before. */
#include "init.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { descriptors_of_walk = 32 };

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *at)
{
	(void)found, (void)kind, (void)at;
	remove(path);
	return 0;
}

static void remove_all(const char *path)
{
	nftw(path, remove_one, descriptors_of_walk, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void place_of(const struct slot *slot, char place[static PATH_MAX])
{
	snprintf(place, PATH_MAX, "%s/bare", slot->state);
	mkdir(place, 0711);
	snprintf(place, PATH_MAX, "%s/bare/%u", slot->state, (unsigned)slot->uid);
}

/* As that user, so that it reaches nobody else: never from a process that is still root. */
void kill_user(const struct slot *slot)
{
	pid_t killer = fork();
	if (killer == 0) {
		if (setresuid(slot->uid, slot->uid, slot->uid) == 0 && geteuid() == slot->uid && slot->uid != 0)
			kill(-1, SIGKILL);
		_exit(0);
	}
	if (killer > 0)
		waitpid(killer, NULL, 0);
}

void clean_bare(const struct slot *slot)
{
	char place[PATH_MAX];
	kill_user(slot);
	place_of(slot, place);
	remove_all(place);
}

static int open_beside(int place, const char *name)
{
	return openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_place(int to, const char *name)
{
	int made = mkdirat(to, name, 0755) == 0 || errno == EEXIST ? open_beside(to, name) : -1;
	if (made < 0 && unlinkat(to, name, 0) == 0 && mkdirat(to, name, 0755) == 0)
		made = open_beside(to, name);
	return made;
}

/* Closes both. Later layers are above earlier ones. */
static void link_tree(int from, int to, const char *layer)
{
	DIR *entries = from < 0 || to < 0 ? NULL : fdopendir(from);
	if (!entries)
		fail("linking the layer", layer);
	for (struct dirent *entry; (entry = readdir(entries));) {
		const char *name = entry->d_name;
		struct stat found;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(from, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
			fail("linking", name);
		if (S_ISDIR(found.st_mode)) {
			link_tree(open_beside(from, name), make_place(to, name), name);
			continue;
		}
		unlinkat(to, name, 0);
		if (linkat(from, name, to, name, 0) != 0)
			fail("linking", name);
	}
	closedir(entries);
	close(to);
}

static void make_device(const char *path, unsigned minor_number)
{
	unlink(path);
	if (mknod(path, S_IFCHR | 0666, makedev(1, minor_number)) != 0 || chmod(path, 0666) != 0)
		fail("making", path);
}

void enter_bare_root(const struct job *job, const struct slot *slot)
{
	char place[PATH_MAX], layer[2 * PATH_MAX];
	int layers[64];
	size_t count = job->lower.count;
	errno = ENOTSUP;
	if (job->within || count > sizeof layers / sizeof *layers)
		fail("a plain action without namespaces", NULL);
	place_of(slot, place);
	remove_all(place);
	for (size_t i = 0; i < count; i++) {
		snprintf(layer, sizeof layer, "%s/%s", slot->state, job->lower.items[i]);
		layers[i] = open(layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (mkdir(place, 0755) != 0 || chroot(place) != 0 || chdir("/") != 0)
		fail("entering", place);
	for (size_t i = count; i-- > 0;)
		link_tree(layers[i], open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), job->lower.items[i]);
	for (size_t i = 0; i < job->deletions.count; i++)
		remove_all(job->deletions.items[i]);
	for (size_t i = 0; i < job->addition_count; i++)
		remove_all(job->additions[i].path);
	for (size_t i = 0; i < job->link_count; i++)
		remove_all(job->links[i].path);
	write_bare_difference(job);
	make_device("dev/null", 3);
	make_device("dev/urandom", 9);
	for (size_t i = 0; i < job->directories.count; i++)
		if (lchown(job->directories.items[i], slot->uid, slot->gid) != 0)
			fail("giving away", job->directories.items[i]);
}

/* The slot's own root: a small tmpfs that holds what jobs are built from, and nothing else of the machine.
 *   /s the state directory, read-only    /h/<n> host paths, read-only    /j each leader mounts its tmpfs here
 *   /null, /urandom    /proc (a new one is only allowed where one is visible)    /pts a private devpts
 */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int detached_tree(const char *path)
{
	int tree = syscall(nr_open_tree, AT_FDCWD, path, open_tree_clone | at_recursive | O_CLOEXEC);
	if (tree < 0)
		fail("open_tree", path);
	struct kernel_mount_attr closed = {.attr_set = mount_attr_rdonly | mount_attr_nosuid | mount_attr_nodev};
	if (syscall(nr_mount_setattr, tree, "", AT_EMPTY_PATH | at_recursive, &closed, sizeof closed) != 0)
		fail("mount_setattr", path);
	return tree;
}

/* Copies of the state directory and of the host paths, to be attached later. What the box lacks is left out. */
void open_trees(struct slot *slot)
{
	slot->state_tree = detached_tree(slot->state);
	for (int i = 0; i < slot->host_count; i++) {
		struct host_path *host = &slot->hosts[i];
		char path[PATH_MAX], target[PATH_MAX];
		struct stat status;
		host->tree = -1;
		snprintf(path, sizeof path, "/%s", host->path);
		if (lstat(path, &status) != 0)
			continue;
		host->is_directory = S_ISDIR(status.st_mode);
		if (S_ISLNK(status.st_mode)) {
			ssize_t size = readlink(path, target, sizeof target);
			host->link = size > 0 ? strndup(target, size) : NULL;
		} else if (host->is_directory || S_ISREG(status.st_mode)) {
			host->tree = detached_tree(path);
		}
	}
}

static void make_place(const char *path, bool is_directory)
{
	int made = is_directory ? mkdir(path, 0755) : open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (made < 0)
		fail("box", path);
	if (!is_directory)
		close(made);
}

static void attach(int tree, const char *place, bool is_directory)
{
	make_place(place, is_directory);
	if (syscall(nr_move_mount, tree, "", AT_FDCWD, place, move_mount_f_empty_path) != 0)
		fail("move_mount", place);
	close(tree);
}

static void mount_on(const char *source, const char *place, const char *type, unsigned long flags, const char *options)
{
	if (mount(source, place, type, flags, options) != 0)
		fail("mount", type ? type : place);
}

static void fill_box(const struct slot *slot)
{
	attach(slot->state_tree, "s", true);
	make_place("h", true);
	for (int i = 0; i < slot->host_count; i++) {
		char place[16];
		snprintf(place, sizeof place, "h/%d", i);
		if (slot->hosts[i].tree >= 0)
			attach(slot->hosts[i].tree, place, slot->hosts[i].is_directory);
	}
	make_place("j", true);
	make_place("null", false);
	make_place("urandom", false);
	make_place("proc", true);
	make_place("pts", true);
	mount_on("/dev/null", "null", NULL, MS_BIND, NULL);
	mount_on("/dev/urandom", "urandom", NULL, MS_BIND, NULL);
	mount_on("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0600,mode=600");
}

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit;
	getrlimit(resource, &limit);
	limit.rlim_max = limit.rlim_max < value ? limit.rlim_max : value;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
}

void close_doors(void)
{
	enum { no_root = 1, no_root_locked = 2, no_ambient = 64, no_ambient_locked = 128 };
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	if (prctl(PR_SET_SECUREBITS, no_root | no_root_locked | no_ambient | no_ambient_locked, 0, 0, 0) != 0)
		fail("securebits", NULL);
}

/* What is the same for every job is done once. */
void set_slot_limits(void)
{
	/* With 0 a crash would still start the program, outside of every namespace, that core_pattern may name; with 1 it does
	 * not, and nothing is written. The filter sees to it that this stays. */
	set_limit(RLIMIT_CORE, 1);
	set_limit(RLIMIT_NOFILE, 4096);
	set_limit(RLIMIT_MEMLOCK, 64 << 10);
	set_limit(RLIMIT_MSGQUEUE, 0);
	umask(022);
}

void enter_box(const struct slot *slot)
{
	mount_on(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount_on("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=256,mode=755");
	if (chdir("/tmp") != 0)
		fail("box", "/tmp");
	fill_box(slot);
	if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		fail("pivot_root", NULL);
	close_doors();
	set_slot_limits();
	sethostname("shoal", 5);
}

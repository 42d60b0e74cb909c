/* The front: the process of a worker that parses what others send. Confined here, before it is Node, for good:
 *
 *   shoal-init front UID GID [+WRITABLE-DIRECTORY | -HIDDEN-PATH | =NEEDED-DIRECTORY]... -- PROGRAM [ARGUMENT...]
 *
 * UID and GID: what a worker that is root becomes; `-` where it is a plain user. What it needs below a directory of root's
 * that is closed to others, it sees there, and nothing else of that directory. By Landlock, which needs no privilege
 * and no mounts, it writes nowhere but in the directories named, reads nothing at the paths named, signals and traces
 * nobody outside. Descriptors are as the worker gave them; on 3 is the keeper, whose answers have a bound. */
#include "init.h"
#include "init_kernel.h"
#include "landlock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const uint64_t reading = execute | read_file | read_dir;
static const uint64_t of_files = execute | write_file | read_file | truncating;
static const uint64_t writing =
	write_file | remove_dir | remove_file | make_dir | make_reg | make_sym | refer | truncating;

/* A keeper that does not answer for so long has stopped. */
enum { keeper_fd = 3, keeper_patience_seconds = 60 };

struct rules {
	int fd;
	uint64_t handled;
	char *hidden[most_host_paths];
	int hidden_count;
};

static _Noreturn void end(const char *step, const char *subject)
{
	fprintf(stderr, "shoal: the front cannot be confined: %s %s: %s\n", step, subject, strerror(errno));
	_exit(71);
}

static void allow(const struct rules *rules, int directory, const char *name, uint64_t rights)
{
	struct stat status;
	int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0)
		end("opening", name);
	struct path_beneath_attr rule = {.parent = fd, .allowed = rights & rules->handled};
	if (!S_ISDIR(status.st_mode))
		rule.allowed &= of_files;
	if (!S_ISLNK(status.st_mode) && syscall(nr_add_rule, rules->fd, rule_path_beneath, &rule, 0) != 0)
		end("allowing", name);
	close(fd);
}

/* What of `path` a hidden one begins with: 0 nothing, 1 the path is above it, 2 the path is it. */
static int hides(const struct rules *rules, const char *path)
{
	int found = 0;
	size_t size = strlen(path);
	for (int i = 0; i < rules->hidden_count; i++) {
		const char *hidden = rules->hidden[i];
		if (strcmp(hidden, path) == 0)
			return 2;
		if (strncmp(hidden, path, size) == 0 && hidden[size] == '/')
			found = 1;
	}
	return found;
}

/* There is no rule that takes away, so all is allowed that stands beside the way to what is hidden. */
static void allow_beside(const struct rules *rules, const char *path)
{
	DIR *directory = opendir(*path ? path : "/");
	if (!directory)
		end("reading", path);
	for (struct dirent *entry; (entry = readdir(directory));) {
		char below[PATH_MAX];
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below)
			continue;
		int hidden = hides(rules, below);
		if (hidden == 1)
			allow_beside(rules, below);
		else if (hidden == 0)
			allow(rules, dirfd(directory), entry->d_name, reading);
	}
	closedir(directory);
}

static void hide(struct rules *rules, const char *path)
{
	char *resolved = realpath(path, NULL);
	if (!resolved && errno == ENOENT) {
		/* It may come later: what appears beside the way to what is hidden cannot be read either. */
		char parent[PATH_MAX];
		const char *name = strrchr(path, '/');
		snprintf(parent, sizeof parent, "%.*s", (int)(name ? name - path : 0), path);
		char *above = name ? realpath(*parent ? parent : "/", NULL) : NULL;
		if (above && asprintf(&resolved, "%s%s", strcmp(above, "/") == 0 ? "" : above, name) < 0)
			resolved = NULL;
	}
	if (!resolved || rules->hidden_count == most_host_paths)
		end("hiding", path);
	rules->hidden[rules->hidden_count++] = resolved;
}

/* The length of the first directory on the way to `path` that only its owner may enter; 0: there is none. */
static size_t closed_part(const char *path)
{
	for (const char *at = path; (at = strchr(at + 1, '/'));) {
		char above[PATH_MAX];
		struct stat status;
		snprintf(above, sizeof above, "%.*s", (int)(at - path), path);
		if (stat(above, &status) == 0 && !(status.st_mode & S_IXOTH))
			return at - path;
	}
	return 0;
}

static void make_way(const char *path)
{
	char part[PATH_MAX];
	for (const char *at = path; at; ) {
		at = strchr(at + 1, '/');
		snprintf(part, sizeof part, "%.*s", at ? (int)(at - path) : (int)strlen(path), path);
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			end("making", part);
	}
}

/* Covers directories that are closed to the front by empty ones, in which stands what it needs. */
static void open_ways(char **words)
{
	struct {
		char *path;
		size_t closed;
		int tree;
	} needed[8];
	int count = 0;
	for (char **word = words; **word != '-' || (*word)[1] != '-'; word++) {
		if (**word != '=' || count == 8)
			continue;
		char *path = realpath(*word + 1, NULL);
		size_t closed = path ? closed_part(path) : 0;
		if (closed == 0)
			continue;
		needed[count].path = path;
		needed[count++].closed = closed;
	}
	char place[PATH_MAX];
	if (count == 0 || !getcwd(place, sizeof place))
		return;
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		end("making", "a mount namespace");
	for (int i = 0; i < count; i++) {
		needed[i].tree = syscall(nr_open_tree, AT_FDCWD, needed[i].path, open_tree_clone | at_recursive | O_CLOEXEC);
		if (needed[i].tree < 0)
			end("opening", needed[i].path);
	}
	for (int i = 0; i < count; i++) {
		char *path = needed[i].path;
		char closed[PATH_MAX];
		snprintf(closed, sizeof closed, "%.*s", (int)needed[i].closed, path);
		if (closed_part(path) && mount("tmpfs", closed, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=256,mode=755") != 0)
			end("covering", closed);
		if (access(path, F_OK) == 0)
			continue; /* in one that stands there already */
		make_way(path);
		if (syscall(nr_move_mount, needed[i].tree, "", AT_FDCWD, path, move_mount_f_empty_path) != 0)
			end("showing", path);
	}
	if (chdir(place) != 0)
		end("entering", place);
}

/* The first version refuses every rename from one directory to another, which the front's own files need. */
static void make_ruleset(struct rules *rules, int version)
{
	struct ruleset_attr attr = {.files = first_version | refer};
	size_t size = version >= 6 ? sizeof attr : version >= 4 ? offsetof(struct ruleset_attr, scoped) : sizeof attr.files;
	if (version >= 3)
		attr.files |= truncating;
	if (version >= 5)
		attr.files |= ioctl_dev;
	if (version >= 6)
		attr.scoped = scope_abstract_socket | scope_signal;
	rules->handled = attr.files;
	rules->fd = syscall(nr_create_ruleset, &attr, size, 0);
	if (rules->fd < 0)
		end("making", "a ruleset");
}

static void allow_all(struct rules *rules, char **words)
{
	for (char **word = words; **word != '-' || (*word)[1] != '-'; word++)
		if (**word == '-')
			hide(rules, *word + 1);
	if (rules->hidden_count > 0)
		allow_beside(rules, "");
	else
		allow(rules, AT_FDCWD, "/", reading);
	allow(rules, AT_FDCWD, "/dev/null", reading | write_file);
	for (char **word = words; **word != '-' || (*word)[1] != '-'; word++)
		if (**word == '+')
			allow(rules, AT_FDCWD, *word + 1, writing | reading);
}

static unsigned id_of(const char *text)
{
	char *rest;
	unsigned long id = strtoul(text, &rest, 10);
	if (*rest || id == 0 || id >= UINT32_MAX) {
		errno = EINVAL;
		end("becoming", text);
	}
	return id;
}

/* A session of its own: a terminal's ^C is for the keeper. Signals are as Node expects them. */
static void leave(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	setsid();
}

int run_front(int count, char **words)
{
	struct rules rules = {0};
	pid_t keeper = getppid();
	int program = 0;
	while (program < count && strcmp(words[program], "--") != 0)
		program++;
	if (program < 2 || program + 1 >= count)
		return 64;
	leave();
	int version = landlock_version();
	if (strcmp(words[0], "-") != 0)
		open_ways(words + 2);
	char text[16];
	snprintf(text, sizeof text, "%d", version);
	setenv("SHOAL_LANDLOCK", text, 1);
	if (version >= 2) {
		/* While still root: the directories above may be closed to others. */
		make_ruleset(&rules, version);
		allow_all(&rules, words + 2);
	}
	if (strcmp(words[0], "-") != 0) {
		uid_t uid = id_of(words[0]);
		gid_t gid = id_of(words[1]);
		if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
			end("becoming", words[0]);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		end("setting", "no_new_privs");
	if (version >= 2 && syscall(nr_restrict_self, rules.fd, 0) != 0)
		end("entering", "the ruleset");
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* last, for a change of uid clears it */
	if (getppid() != keeper)
		return 1;
	struct timeval patience = {.tv_sec = keeper_patience_seconds};
	setsockopt(keeper_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(keeper_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	execv(words[program + 1], words + program + 1);
	end("starting", words[program + 1]);
}

/* The outer init of a slot: makes the namespaces that all its jobs share, then runs one leader a job.
 *
 *   shoal-init STATE-DIRECTORY UID GID [host]
 *
 * UID and GID: what a worker that is root becomes first; `-` where it is a plain user. `host`: keep the box's tree at
 * hand, for actions that want its tools. Jobs come on stdin, answers go to stdout; the end of stdin ends everything. */
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { most_job_bytes = 256 << 20 };
enum { open_tree_clone = 1, move_from_empty_path = 4, tree_recursive = 0x8000 };

/* mount_setattr(2) is younger than some libcs. */
struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};
enum { attribute_read_only = 1, attribute_no_suid = 2, attribute_no_dev = 4 };

static int clone_tree(const char *path, bool recursive)
{
	unsigned flags = open_tree_clone | O_CLOEXEC | (recursive ? tree_recursive : 0);
	int tree = syscall(SYS_open_tree, AT_FDCWD, path, flags);
	if (tree < 0)
		fail(path);
	return tree;
}

static void place_tree(int tree, const char *path, bool read_only)
{
	struct mount_attributes attributes = {.set = attribute_read_only | attribute_no_suid | attribute_no_dev};
	if (read_only && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | tree_recursive, &attributes, sizeof attributes) != 0)
		fail("a read-only tree");
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, move_from_empty_path) != 0)
		fail(path);
	close(tree);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

static void map_ids(uid_t uid, gid_t gid)
{
	char text[64];
	write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof text, "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof text, "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", text);
}

/* A root of the slot's own: the state directory, /proc and /dev/null, and nothing else of the box. */
static void make_slot_root(const char *state, bool host)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		fail("private mounts");
	int state_tree = clone_tree(state, false), null_tree = clone_tree("/dev/null", false);
	int host_tree = host ? clone_tree("/", true) : -1;
	/* Any directory will do to mount on: what it hides has been taken in hand above. */
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755") != 0 || chdir("/tmp") != 0)
		fail("the slot's root");
	if (mkdir("s", 0755) != 0 || mkdir("j", 0755) != 0 || mkdir("h", 0755) != 0 || mkdir("proc", 0755) != 0 ||
	    mkdir("p", 0755) != 0 || close(open("null", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) != 0)
		fail("the slot's directories");
	place_tree(state_tree, "s", true);
	place_tree(null_tree, "null", false);
	if (host)
		place_tree(host_tree, "h", true);
	/* Only while the old root's /proc is still in sight may a new one be mounted. */
	if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		fail("the slot's /proc");
	if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		fail("entering the slot's root");
}

/* A pseudo-terminal as wide as the user's. Output processing is off: what is written is what is read. */
static void open_terminal(const struct job *job, int *master, int *slave)
{
	struct winsize size = {.ws_col = job->columns, .ws_row = job->rows};
	struct termios settings;
	int unlock = 0;
	if (mount("devpts", "/p", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620") != 0)
		fail("devpts");
	*master = open("/p/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) != 0)
		fail("a pseudo-terminal");
	*slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0 || tcgetattr(*slave, &settings) != 0)
		fail("a pseudo-terminal's other end");
	settings.c_oflag &= ~OPOST;
	settings.c_lflag &= ~ECHO;
	if (tcsetattr(*slave, TCSANOW, &settings) != 0 || ioctl(*slave, TIOCSWINSZ, &size) != 0)
		fail("a pseudo-terminal's size");
}

static _Noreturn void lead(const struct job *job)
{
	int master = -1, slave = -1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (job->terminal_bits & 7)
		open_terminal(job, &master, &slave);
	enter_job_root(job);
	run_job(job, master, slave);
	_exit(0);
}

/* Waits for the leader, and for the worker's end, which ends everything. The next job may be on stdin already: the worker
 * has the answer a moment before the leader is gone. A job is cancelled by killing this process, pid 1 of all of them. */
static void wait_for_leader(pid_t leader, int leader_fd)
{
	struct pollfd polled[2] = {{.fd = leader_fd, .events = POLLIN}, {.fd = 0}};
	while (!polled[0].revents) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			_exit(4);
		if (polled[1].revents)
			_exit(0);
	}
	int status;
	while (waitpid(leader, &status, 0) < 0 && errno == EINTR)
		continue;
	close(leader_fd);
	/* A leader that was killed may have left half a frame: the worker then starts another slot. */
	if (!WIFEXITED(status))
		_exit(4);
}

static void serve_jobs(void)
{
	for (;;) {
		unsigned char head[4];
		struct job job = {0};
		if (!read_exactly(0, head, sizeof head))
			return;
		size_t size = head[0] | head[1] << 8 | head[2] << 16 | (size_t)head[3] << 24;
		unsigned char *bytes = size > most_job_bytes ? NULL : malloc(size + 1);
		if (!bytes || !read_exactly(0, bytes, size) || !parse_job(bytes, size, &job)) {
			errno = EPROTO;
			fail("the job's frame");
		}
		int leader_fd = -1;
		long leader = syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD, NULL, &leader_fd, NULL, NULL);
		if (leader < 0)
			fail("namespaces of the job");
		if (leader == 0)
			lead(&job);
		wait_for_leader(leader, leader_fd);
		free(job.additions);
		free(job.links);
		struct text_list *lists[] = {&job.lower, &job.host, &job.argv, &job.env, &job.directories, &job.deletions, &job.outputs};
		for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
			free(lists[i]->items);
		free(bytes);
	}
}

/* Root gives itself up for a uid that owns nothing; it must stay dumpable to write its own uid_map. */
static void become(const char *uid, const char *gid)
{
	if (strcmp(uid, "-") == 0)
		return;
	gid_t group = atoi(gid);
	uid_t user = atoi(uid);
	if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
		fail("becoming the slot's user");
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
		fail("staying dumpable");
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 64;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	become(argv[2], argv[3]);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of uid clears it */
	uid_t uid = geteuid();
	gid_t gid = getegid();
	unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	long inner = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (inner < 0)
		fail("user namespace");
	if (inner > 0) {
		int status;
		close(0);
		close(1);
		while (waitpid(inner, &status, 0) < 0 && errno == EINTR)
			continue;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	map_ids(uid, gid);
	sethostname("shoal", 5);
	make_slot_root(argv[1], argc > 4 && strcmp(argv[4], "host") == 0);
	reply('Y', NULL, 0, NULL, 0);
	serve_jobs();
	return 0;
}

/* The keeper, which the worker starts, and the outer init of a slot: makes the namespaces that all its jobs share, then
 * runs one leader a job.
 *
 *   shoal-init [--bare] STATE-DIRECTORY UID GID GROUPS [HOST-PATH...]
 *
 * UID and GID: what a worker that is root becomes first; `-` where it is a plain user. GROUPS: the `cgroup.procs` files of
 * the control groups to enter, a line each. --bare: without namespaces, by root. HOST-PATH, relative to /: what of the box actions may see that want its tools. Jobs come on stdin, answers go to stdout; the end of stdin ends everything. */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { most_job_bytes = 256 << 20, kept_bytes = 4 << 20, head_bytes = 4 };

/* Of the slot, and again of every job. */
static const unsigned long all_namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                            CLONE_NEWUTS | CLONE_NEWCGROUP;

static unsigned long namespaces_of(const struct slot *slot)
{
	return slot->is_bare ? 0 : all_namespaces;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail("writing", path);
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

/* The length at the head of a frame: 0 is the wish that the running job be aborted. False at the end of stdin. */
static bool read_head(size_t *size)
{
	unsigned char head[head_bytes];
	if (!read_exactly(0, head, sizeof head))
		return false;
	*size = head[0] | head[1] << 8 | head[2] << 16 | (size_t)head[3] << 24;
	return true;
}

/* Waits for the leader, passing on aborts, and for the worker's end, which ends everything: this is pid 1 of all of it.
 * The next job may be on stdin before the leader is gone, for the worker has its answer already; its head is kept. */
static void wait_for_leader(pid_t leader, int leader_fd, int abort_fd, size_t *next)
{
	struct pollfd polled[2] = {{.fd = leader_fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	*next = 0;
	while (!polled[0].revents) {
		if (poll(polled, 2, -1) < 0)
			continue;
		if (polled[1].revents & POLLIN) {
			if (!read_head(next))
				_exit(0);
			if (*next == 0)
				eventfd_write(abort_fd, 1);
			else
				polled[1].events = 0; /* only a hang-up still counts */
		} else if (polled[1].revents) {
			_exit(0);
		}
	}
	int status;
	eventfd_t aborts;
	/* A leader that was killed may have left half a frame: the worker then starts another slot. */
	if (waitpid(leader, &status, 0) != leader || status != 0)
		_exit(4);
	close(leader_fd);
	eventfd_read(abort_fd, &aborts);
}

static _Noreturn void run_leader(unsigned char *bytes, size_t size, const struct slot *slot, int abort_fd)
{
	struct job job = {0};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (slot->is_bare)
		prctl(PR_SET_CHILD_SUBREAPER, 1); /* as pid 1 of a namespace would be */
	else
		map_ids(slot->uid, slot->gid);
	close_doors();
	if (!parse_job(bytes, size, &job)) {
		errno = EPROTO;
		fail("the job's frame", NULL);
	}
	lead(&job, slot, abort_fd);
}

static void serve_jobs(const struct slot *slot, int abort_fd)
{
	unsigned char *bytes = NULL;
	size_t room = 0, size = 0;
	for (;;) {
		if (size == 0 && !read_head(&size))
			return;
		if (size == 0)
			continue; /* the job had ended before its abort came */
		if (size > room) {
			free(bytes);
			room = size > most_job_bytes ? 0 : size;
			bytes = room ? malloc(room) : NULL;
		}
		if (!bytes || !read_exactly(0, bytes, size))
			return;
		int leader_fd = -1;
		long leader = syscall(SYS_clone, namespaces_of(slot) | clone_pidfd | SIGCHLD, NULL, &leader_fd, NULL, NULL);
		if (leader < 0)
			fail("namespaces of the job", NULL);
		if (leader == 0)
			run_leader(bytes, size, slot, abort_fd);
		/* The memory of a large job is not kept for small ones; the leader has its own copy. */
		if (room > kept_bytes) {
			free(bytes);
			bytes = NULL;
			room = 0;
		}
		wait_for_leader(leader, leader_fd, abort_fd, &size);
		if (slot->is_bare)
			clean_bare(slot);
	}
}

static long id_from(const char *text)
{
	char *end;
	long id = strtol(text, &end, 10);
	if (*end || id <= 0) {
		errno = EINVAL;
		fail("the slot's user", text);
	}
	return id;
}

static void enter_groups(char *entrances)
{
	for (char *path = strtok(entrances, "\n"); path; path = strtok(NULL, "\n"))
		write_file(path, "0");
}

/* Root gives itself up for a uid that owns nothing; it must stay dumpable to write its own uid_map. */
static void become(const char *uid, const char *gid)
{
	gid_t group = id_from(gid);
	uid_t user = id_from(uid);
	if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
		fail("becoming user", uid);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* A session of its own: a terminal's ^C is for the worker, which may let its jobs end. Signals are as a job expects them. */
static void leave_session(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	setsid();
	syscall(nr_close_range, 3U, ~0U, 0U);
}

static pid_t inner;

static void block_end(int how)
{
	sigset_t end;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(how, &end, NULL);
}

static void end_slot(int number)
{
	(void)number;
	kill(inner, SIGKILL);
}

/* The keeper's end is the slot's, and so is the end of its input, which whoever gave the jobs sees closed only then: the kernel lets go of the inner init, pid 1 of all of it, only when every process of
 * the slot is gone. SIGTERM ends it in that order, too; the keeper's own death by SIGKILL takes all with it too, but then
 * nobody can tell when the last is gone. */
static int keep(const struct slot *slot)
{
	int status;
	signal(SIGTERM, end_slot);
	block_end(SIG_UNBLOCK);
	close(1);
	struct pollfd polled[2] = {{.fd = syscall(nr_pidfd_open, inner, 0), .events = POLLIN}, {.fd = 0, .events = POLLRDHUP}};
	while (polled[0].fd >= 0 && !polled[0].revents)
		if (poll(polled, 2, -1) > 0 && polled[1].revents) {
			end_slot(0);
			break;
		}
	while (waitpid(inner, &status, 0) < 0 && errno == EINTR)
		continue;
	if (slot->is_bare)
		clean_bare(slot);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}

static _Noreturn void run_slot(struct slot *slot)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	block_end(SIG_UNBLOCK);
	if (slot->is_bare) {
		set_slot_limits();
		clean_bare(slot);
	} else {
		map_ids(slot->uid, slot->gid);
		if (slot->state_tree < 0)
			open_trees(slot);
		enter_box(slot);
	}
	compile_filter();
	int abort_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (abort_fd < 0)
		fail("eventfd", NULL);
	reply('Y', "", 0);
	flush_replies();
	serve_jobs(slot, abort_fd);
	_exit(0);
}

/* Where memory runs out, a compile is killed first, not the worker, whose clients would lose all their jobs; nor whatever
 * else this box is for. A compile is larger than the inits above it, so it goes before them. */
static void offer_to_die(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t written = write(fd, "1000", 4);
	(void)written; /* Where it may not, the kernel chooses as it likes. */
	close(fd);
}

int main(int argc, char **argv)
{
	static struct slot slot = {.state_tree = -1};
	pid_t worker = getppid();
	if (argc > 1 && strcmp(argv[1], "front") == 0)
		return run_front(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "--bare") == 0) {
		slot.is_bare = true;
		argc--;
		argv++;
	}
	if (argc < 5 || argc - 5 > most_host_paths)
		return 64;
	slot.state = argv[1];
	for (int i = 5; i < argc; i++)
		slot.hosts[slot.host_count++].path = argv[i];
	leave_session();
	offer_to_die();
	enter_groups(argv[4]);
	if (slot.is_bare) {
		slot.gid = id_from(argv[3]);
		slot.uid = id_from(argv[2]);
	} else if (strcmp(argv[2], "-") != 0) {
		/* While still root: the directories above the state's may be closed to others. */
		open_trees(&slot);
		become(argv[2], argv[3]);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* last, for a change of uid clears it */
	if (getppid() != worker)
		return 1;
	/* In a user namespace they are unknown until they are mapped. */
	if (!slot.is_bare) {
		slot.uid = geteuid();
		slot.gid = getegid();
	}
	block_end(SIG_BLOCK);
	inner = syscall(SYS_clone, namespaces_of(&slot) | SIGCHLD, NULL, NULL, NULL, NULL);
	if (inner < 0)
		fail("user namespace", NULL);
	if (inner == 0)
		run_slot(&slot);
	return keep(&slot);
}

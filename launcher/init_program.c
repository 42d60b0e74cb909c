/* The job's first process: the compiler, without capabilities, under its limits and the filter of system calls. */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* As a user's shell has it. gcc raises its own to 64 MiB where the hard limit allows, and how deep templates may nest
 * depends on it. */
enum { soft_stack_bytes = 8 << 20 };
/* Of the slot's processes, the outer init and the leader are counted with the job's. */
enum { own_processes = 2 };

static const char *value_of(char **env, const char *name)
{
	size_t length = strlen(name);
	for (; *env; env++)
		if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
			return *env + length + 1;
	return NULL;
}

static bool limit(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit wanted;
	if (getrlimit(resource, &wanted) != 0)
		return false;
	wanted.rlim_max = wanted.rlim_max < hard ? wanted.rlim_max : hard;
	wanted.rlim_cur = wanted.rlim_max < soft ? wanted.rlim_max : soft;
	return setrlimit(resource, &wanted) == 0;
}

static bool set_limits(const struct job *job)
{
	/* The first is a signal that a program may survive, the second is not. */
	if (job->cpu_seconds && !limit(RLIMIT_CPU, job->cpu_seconds, job->cpu_seconds + 1))
		return false;
	/* Private writable memory. RLIMIT_AS would also count what is only reserved, of which some tools take much. */
	if (job->memory_bytes && !limit(RLIMIT_DATA, job->memory_bytes, job->memory_bytes))
		return false;
	rlim_t processes = job->processes + own_processes;
	if (job->processes && !limit(RLIMIT_NPROC, processes, processes))
		return false;
	if (!limit(RLIMIT_STACK, soft_stack_bytes, RLIM_INFINITY))
		return false;
	/* The tmpfs bounds what is stored, not how long a file without blocks claims to be. */
	return limit(RLIMIT_FSIZE, job->disk_bytes, job->disk_bytes);
}

/* Where there is no namespace, the leader is root still. */
static bool become_user(const struct slot *slot)
{
	return setgroups(0, NULL) == 0 && setresgid(slot->gid, slot->gid, slot->gid) == 0 &&
	       setresuid(slot->uid, slot->uid, slot->uid) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

static bool drop_privileges(void)
{
	struct kernel_cap_header header = {.version = capability_version_3};
	static const struct kernel_cap_data none[2];
	return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && install_filter();
}

/* Along PATH, as a shell does; only where nothing is found is the last error about permission. */
static void exec_along_path(const struct job *job, const char *name)
{
	const char *path = value_of(job->env.items, "PATH");
	bool denied = false;
	errno = ENOENT;
	for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
		char place[PATH_MAX];
		size_t length = strcspn(at, ":"), name_size = strlen(name) + 1;
		if (length > 0 && length + 1 + name_size <= sizeof place) {
			memcpy(place, at, length);
			place[length] = '/';
			memcpy(place + length + 1, name, name_size);
			execve(place, job->argv.items, job->env.items);
			denied |= errno == EACCES;
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				return;
		}
		at += length + (at[length] == ':');
	}
	errno = denied ? EACCES : ENOENT;
}

/* Runs in the child, in the leader's memory: it ends in exec or returns the step that failed. */
static const char *become_program(const struct job *job, const struct slot *slot, struct streams streams)
{
	setsid();
	if (dup2(streams.in, 0) < 0 || dup2(streams.out, 1) < 0 || dup2(streams.err, 2) < 0)
		return "standard streams of";
	if (syscall(nr_close_range, 3, ~0U, 0) != 0)
		return "descriptors of";
	if (!set_limits(job))
		return "limits of";
	if (slot->is_bare && !become_user(slot))
		return "the user of";
	if (!drop_privileges())
		return "taking rights from";
	const char *program = job->program ? job->program : job->argv.items[0];
	if (strchr(program, '/'))
		execve(program, job->argv.items, job->env.items);
	else
		exec_along_path(job, program);
	return "executing";
}

/* vfork: no page table is copied, and what went wrong in the child stands in our memory. */
int start_program(const struct job *job, const struct slot *slot, struct streams streams)
{
	static const char *volatile failed;
	static volatile int number;
	pid_t program = vfork();
	if (program == 0) {
		failed = become_program(job, slot, streams);
		number = errno;
		_exit(127);
	}
	if (program < 0)
		fail("vfork", NULL);
	errno = number;
	if (failed)
		fail(failed, job->program ? job->program : job->argv.items[0]);
	return program;
}

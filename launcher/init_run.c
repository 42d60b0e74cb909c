/* The compiler under the leader: started without any right, watched until it ends or its time is up, and with it
 * whatever it started. */
#include "init.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct stream {
	int fd;
	unsigned char *bytes;
	size_t used, room;
	bool over;
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void limit(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit wanted, current;
	if (getrlimit(resource, &current) != 0)
		return;
	wanted.rlim_max = hard > current.rlim_max ? current.rlim_max : hard;
	wanted.rlim_cur = soft > wanted.rlim_max ? wanted.rlim_max : soft;
	setrlimit(resource, &wanted);
}

static void set_limits(const struct job *job)
{
	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_CPU, job->cpu_seconds, job->cpu_seconds);
	limit(RLIMIT_FSIZE, job->disk_bytes, job->disk_bytes);
	limit(RLIMIT_NPROC, job->processes, job->processes);
	/* gcc raises its own soft limit as far as the hard one lets it: both as a user's shell has them. */
	limit(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
	if (job->memory_bytes > 0)
		limit(RLIMIT_AS, job->memory_bytes, job->memory_bytes);
}

static bool drop_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
		continue;
	return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && install_filter();
}

static const char *path_variable(const struct job *job)
{
	for (size_t i = 0; i < job->env.count; i++)
		if (strncmp(job->env.items[i], "PATH=", 5) == 0)
			return job->env.items[i] + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

static void execute(const struct job *job)
{
	const char *program = job->program ? job->program : job->argv.items[0];
	if (strchr(program, '/')) {
		execve(program, job->argv.items, job->env.items);
		return;
	}
	int reason = ENOENT;
	for (const char *at = path_variable(job);; at++) {
		char candidate[PATH_MAX];
		size_t length = strcspn(at, ":");
		snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)length, at, length ? "/" : "./", program);
		execve(candidate, job->argv.items, job->env.items);
		if (errno != ENOENT && errno != ENOTDIR)
			reason = errno;
		at += length;
		if (*at == '\0')
			break;
	}
	errno = reason;
}

/* Tells the leader which step failed, by the pipe that execve closes. */
static _Noreturn void give_up(int report, const char *step)
{
	dprintf(report, "%s: %s", step, strerror(errno));
	_exit(127);
}

static void become_compiler(const struct job *job, const int standard[3], int report)
{
	setsid();
	for (int fd = 0; fd < 3; fd++)
		if (dup2(standard[fd], fd) < 0)
			give_up(report, "standard streams");
	if (chdir(job->cwd) != 0)
		give_up(report, "the working directory");
	umask(022);
	if (report != 3)
		dup3(report, 3, O_CLOEXEC);
	syscall(SYS_close_range, 4U, ~0U, 0U);
	set_limits(job);
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	if (!drop_rights())
		give_up(3, "giving up rights");
	execute(job);
	give_up(3, "the command");
}

static void keep(struct stream *stream, const unsigned char *bytes, size_t size, uint64_t bound)
{
	if (stream->used + size > bound)
		stream->over = true;
	if (stream->over)
		return;
	if (stream->used + size > stream->room) {
		size_t room = stream->room ? stream->room : 4096;
		while (room < stream->used + size)
			room *= 2;
		unsigned char *grown = realloc(stream->bytes, room);
		if (!grown) {
			stream->over = true;
			return;
		}
		stream->bytes = grown;
		stream->room = room;
	}
	memcpy(stream->bytes + stream->used, bytes, size);
	stream->used += size;
}

/* Reads what is there; false at the end. A pseudo-terminal whose slave is closed gives EIO. */
static bool drain(struct stream *stream, uint64_t bound)
{
	static unsigned char chunk[65536];
	for (;;) {
		ssize_t got = read(stream->fd, chunk, sizeof chunk);
		if (got > 0) {
			keep(stream, chunk, got, bound);
			continue;
		}
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	}
}

static void put64(unsigned char *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = value >> (8 * i);
}

static uint64_t micros(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static void end_all(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
}

static bool wait_for_end(const struct job *job, pid_t compiler, struct stream streams[2])
{
	int ended = syscall(SYS_pidfd_open, compiler, 0);
	uint64_t deadline = now_us() + job->wall_ms * 1000;
	struct pollfd polled[3] = {
		{.fd = ended, .events = POLLIN},
		{.fd = streams[0].fd, .events = POLLIN},
		{.fd = streams[1].fd, .events = POLLIN},
	};
	bool in_time = true;
	for (;;) {
		uint64_t now = now_us();
		if (now >= deadline || ended < 0) {
			in_time = ended < 0;
			break;
		}
		int ready = poll(polled, 3, (deadline - now) / 1000 + 1);
		if (ready < 0 && errno != EINTR)
			break;
		for (int i = 1; ready > 0 && i < 3; i++)
			if (polled[i].revents && !drain(&streams[i - 1], job->output_bytes))
				polled[i].fd = -1;
		/* Only the compiler's own end counts: a process that it left behind may hold the pipes for ever. */
		if (ready > 0 && polled[0].revents)
			break;
	}
	if (ended >= 0)
		close(ended);
	if (!in_time)
		kill(compiler, SIGKILL);
	return in_time;
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
		fail("pipes");
}

static void report_trouble(const struct job *job, const struct stream streams[2], bool in_time, int status)
{
	struct statfs disk;
	if (!in_time)
		reply_trouble("deadline");
	if (streams[0].over || streams[1].over)
		reply_trouble("output-limit");
	if (statfs("/", &disk) == 0 && disk.f_blocks > 0 && disk.f_bavail == 0)
		reply_trouble("disk-full");
	if (WIFSIGNALED(status) && in_time)
		reply_trouble("signal");
	(void)job;
}

void run_job(const struct job *job, int pty_master, int pty_slave)
{
	struct stream streams[2] = {{.fd = -1}, {.fd = -1}};
	int standard[3] = {open("/dev/null", O_RDONLY | O_CLOEXEC), -1, -1}, pipes[3][2];
	if (standard[0] < 0)
		fail("/dev/null");
	if (job->terminal_bits & 1 && pty_slave >= 0)
		standard[0] = pty_slave;
	for (int i = 0; i < 2; i++) {
		bool terminal = pty_slave >= 0 && job->terminal_bits & 2 << i;
		if (!terminal)
			make_pipe(pipes[i]);
		streams[i].fd = terminal ? pty_master : pipes[i][0];
		standard[i + 1] = terminal ? pty_slave : pipes[i][1];
	}
	/* stdout and stderr on one terminal are one stream: it is given back as stderr. */
	if (streams[0].fd == pty_master && streams[1].fd == pty_master)
		streams[0].fd = -1;
	make_pipe(pipes[2]);
	uint64_t started = now_us();
	pid_t compiler = fork();
	if (compiler < 0)
		fail("starting the command");
	if (compiler == 0)
		become_compiler(job, standard, pipes[2][1]);
	for (int i = 0; i < 3; i++)
		if (standard[i] != pty_slave)
			close(standard[i]);
	if (pty_slave >= 0)
		close(pty_slave);
	close(pipes[2][1]);
	bool in_time = wait_for_end(job, compiler, streams);
	int status;
	struct rusage usage;
	while (wait4(compiler, &status, 0, &usage) < 0 && errno == EINTR)
		continue;
	uint64_t wall_us = now_us() - started;
	end_all();
	for (int i = 0; i < 2; i++)
		if (streams[i].fd >= 0)
			drain(&streams[i], job->output_bytes);
	char why[256];
	ssize_t length = read(pipes[2][0], why, sizeof why);
	if (length > 0) {
		reply('F', NULL, 0, why, length);
		_exit(2);
	}
	reply('1', NULL, 0, streams[0].bytes, streams[0].used);
	reply('2', NULL, 0, streams[1].bytes, streams[1].used);
	report_trouble(job, streams, in_time, status);
	reply_outputs(job);
	unsigned char end[36] = {status, status >> 8, status >> 16, status >> 24};
	put64(end + 4, micros(usage.ru_utime));
	put64(end + 12, micros(usage.ru_stime));
	put64(end + 20, usage.ru_maxrss);
	put64(end + 28, wall_us);
	reply('X', end, sizeof end, NULL, 0);
}

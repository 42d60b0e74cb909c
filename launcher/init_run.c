/* Pid 1 of a job. The job has ended when its first process, the compiler, has: whatever it left running is killed then,
 * and only then the pipes are read to their end and the outputs are opened. A leader that waited for the pipes' end
 * instead would wait for every background process that holds one. */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { on_stdin = 1, on_stdout = 2, on_stderr = 4 };
enum { open_peer = 0x5441 /* TIOCGPTPEER */, least_room = 16 << 10, longest_wait_ms = 60000 };

/* One stream of the job as it is seen from here: a pipe or a terminal, and what came out of it. */
struct source {
	int fd;
	unsigned char *bytes;
	size_t used, room;
};

struct run {
	const struct job *job;
	const struct slot *slot;
	struct streams streams;
	struct source sources[2]; /* stdout, stderr; fd -1: at its end, or another's terminal */
	int abort_fd, program_fd;
	pid_t program;
	uint64_t taken_bytes;
	bool is_late, is_over;
	int status;
	struct rusage usage;
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

/* Opened before the root is left: the slot's devpts is not part of a job's. Output processing is off, so that the bytes
 * are those that the job wrote. */
static int open_terminal(const struct job *job, const struct slot *slot, int *peer)
{
	struct winsize size = {.ws_col = job->columns, .ws_row = job->rows};
	struct termios modes;
	int unlock = 0, terminal = open(slot->is_bare ? "/dev/ptmx" : "/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (terminal < 0 || ioctl(terminal, TIOCSPTLCK, &unlock) != 0)
		fail("a pseudo-terminal", NULL);
	*peer = ioctl(terminal, open_peer, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*peer < 0 || tcgetattr(*peer, &modes) != 0)
		fail("a pseudo-terminal's other end", NULL);
	modes.c_oflag &= ~OPOST;
	modes.c_lflag &= ~ECHO;
	if (tcsetattr(*peer, TCSANOW, &modes) != 0 || ioctl(terminal, TIOCSWINSZ, &size) != 0)
		fail("a pseudo-terminal's size", NULL);
	return terminal;
}

static void open_pipe(struct source *source, int *job_end)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
		fail("a pipe", NULL);
	source->fd = ends[0];
	*job_end = ends[1];
}

/* stdout and stderr on one terminal are one stream, so that its order is kept: it is given back as stderr. */
static void open_streams(struct run *run)
{
	struct source *out = &run->sources[0], *err = &run->sources[1];
	unsigned bits = run->job->terminal_bits & (on_stdin | on_stdout | on_stderr);
	int peer = -1, terminal = bits ? open_terminal(run->job, run->slot, &peer) : -1;
	run->streams = (struct streams){peer, peer, peer};
	out->fd = bits & on_stderr ? -1 : terminal;
	err->fd = terminal;
	if (!(bits & on_stdin))
		run->streams.in = open(run->slot->is_bare ? "/dev/null" : "/null", O_RDONLY | O_CLOEXEC);
	if (!(bits & on_stdout))
		open_pipe(out, &run->streams.out);
	if (!(bits & on_stderr))
		open_pipe(err, &run->streams.err);
}

static void close_job_ends(const struct run *run)
{
	close(run->streams.in);
	close(run->streams.out);
	close(run->streams.err);
}

static bool make_room(struct source *source)
{
	if (source->room - source->used >= least_room)
		return true;
	size_t room = source->room ? 2 * source->room : 2 * least_room;
	unsigned char *grown = realloc(source->bytes, room);
	if (!grown)
		return false;
	source->bytes = grown;
	source->room = room;
	return true;
}

/* Everything that is there now, up to the bound of both streams together. */
static void take(struct run *run, struct source *source)
{
	while (source->fd >= 0 && !run->is_over) {
		if (!make_room(source)) {
			run->is_over = true;
			return;
		}
		ssize_t got = read(source->fd, source->bytes + source->used, source->room - source->used);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			/* Its end, which of a terminal is EIO: nobody has the other side open. */
			close(source->fd);
			source->fd = -1;
			return;
		}
		uint64_t left = run->job->output_bytes - run->taken_bytes;
		run->is_over = (uint64_t)got > left;
		source->used += run->is_over ? left : (uint64_t)got;
		run->taken_bytes += run->is_over ? left : (uint64_t)got;
	}
}

/* Until the program has ended, or is to be ended: by the deadline, by what it writes, by the worker. */
static void watch(struct run *run, uint64_t deadline_us)
{
	struct pollfd polled[4] = {
		{.fd = run->program_fd, .events = POLLIN},
		{.fd = run->abort_fd, .events = POLLIN},
		{.events = POLLIN},
		{.events = POLLIN},
	};
	while (!run->is_over) {
		uint64_t now = now_us();
		if (now >= deadline_us) {
			run->is_late = true;
			return;
		}
		for (int i = 0; i < 2; i++)
			polled[2 + i].fd = run->sources[i].fd;
		uint64_t wait_ms = (deadline_us - now) / 1000 + 1;
		if (poll(polled, 4, wait_ms < longest_wait_ms ? (int)wait_ms : longest_wait_ms) <= 0)
			continue;
		if (polled[0].revents)
			return;
		if (polled[1].revents) {
			errno = ECANCELED;
			fail("the job", NULL);
		}
		for (int i = 0; i < 2; i++)
			if (polled[2 + i].revents)
				take(run, &run->sources[i]);
	}
}

static void add_usage(struct rusage *sum, const struct rusage *more)
{
	sum->ru_utime.tv_sec += more->ru_utime.tv_sec;
	sum->ru_utime.tv_usec += more->ru_utime.tv_usec;
	sum->ru_stime.tv_sec += more->ru_stime.tv_sec;
	sum->ru_stime.tv_usec += more->ru_stime.tv_usec;
	if (sum->ru_maxrss < more->ru_maxrss)
		sum->ru_maxrss = more->ru_maxrss;
}

/* As pid 1 this process inherits every orphan: if it has no child, there is no process. Mostly that is so, and kill(-1),
 * which looks at all processes of the machine, is not needed. */
static void end_everything(struct run *run)
{
	int options = WNOHANG;
	for (;;) {
		struct rusage usage;
		int status;
		pid_t ended = wait4(-1, &status, options, &usage);
		if (ended < 0 && errno == EINTR)
			continue;
		if (ended < 0)
			return;
		if (ended == 0) {
			if (run->slot->is_bare)
				kill_user(run->slot);
			else
				kill(-1, SIGKILL);
			options = 0;
			continue;
		}
		add_usage(&run->usage, &usage);
		if (ended == run->program)
			run->status = status;
	}
}

static uint64_t micros(struct timeval time)
{
	return time.tv_sec * 1000000ULL + time.tv_usec;
}

/* The limit is per process, so one that a child met is seen in the sum of times only; which is counted in ticks. */
static bool is_out_of_time(const struct run *run)
{
	enum { ticks_us = 100000 };
	uint64_t cpu_us = micros(run->usage.ru_utime) + micros(run->usage.ru_stime);
	bool is_told = WIFSIGNALED(run->status) && WTERMSIG(run->status) == SIGXCPU;
	bool is_used = run->job->cpu_seconds && cpu_us + ticks_us >= run->job->cpu_seconds * 1000000;
	return run->is_late || is_told || is_used;
}

/* What makes a failure not the user's. */
static void reply_troubles(const struct run *run)
{
	struct statfs disk;
	bool is_late = is_out_of_time(run);
	if (is_late)
		reply_trouble("deadline");
	if (run->is_over)
		reply_trouble("output-limit");
	/* The overlay answers for the tmpfs of its upper layer. */
	if (statfs("/tmp", &disk) == 0 && disk.f_blocks > 0 && (disk.f_bavail == 0 || disk.f_ffree == 0))
		reply_trouble("disk-full");
	if (WIFSIGNALED(run->status) && !is_late && !run->is_over)
		reply_trouble("signal");
}

static void put64(unsigned char *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = value >> (8 * i);
}

static void answer(struct run *run, uint64_t wall_us)
{
	for (int i = 0; i < 2; i++) {
		take(run, &run->sources[i]);
		reply('1' + i, run->sources[i].bytes, run->sources[i].used);
	}
	reply_troubles(run);
	reply_outputs(run->job);
	unsigned char end[36] = {run->status, run->status >> 8, run->status >> 16, run->status >> 24};
	put64(end + 4, micros(run->usage.ru_utime));
	put64(end + 12, micros(run->usage.ru_stime));
	put64(end + 20, run->usage.ru_maxrss);
	put64(end + 28, wall_us);
	reply('X', end, sizeof end);
	flush_replies();
}

_Noreturn void lead(const struct job *job, const struct slot *slot, int abort_fd)
{
	struct run run = {.job = job, .slot = slot, .abort_fd = abort_fd};
	open_streams(&run);
	if (slot->is_bare)
		enter_bare_root(job, slot);
	else
		enter_job_root(job, slot);
	if (chdir(job->cwd) != 0)
		fail("entering", job->cwd);
	uint64_t begun_us = now_us();
	run.program = start_program(job, slot, run.streams);
	close_job_ends(&run);
	run.program_fd = syscall(nr_pidfd_open, run.program, 0);
	if (run.program_fd < 0)
		fail("pidfd_open", NULL);
	watch(&run, begun_us + job->wall_ms * 1000);
	uint64_t ended_us = now_us();
	end_everything(&run);
	answer(&run, ended_us - begun_us);
	_exit(0);
}

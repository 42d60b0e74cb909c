/* The local gate: of what runs here, as many at once as there are CPUs, and only while there is memory for it. It works
 * with a daemon and without one, and whatever is killed.
 *
 * One file in the runtime directory, with locks on its bytes: byte 0 is the queue, the bytes from 1 on are slots. A lock
 * belongs to an open file description: the compiler inherits it with the descriptor, and the kernel takes it back when
 * the last process of the compile has gone. Who has the queue, its head, looks for a slot every few milliseconds; all
 * others sleep in the kernel: one compile of each build for the queue, the others for their build's turn, so that builds
 * alternate however many compiles each has. The content is one record a slot: who has it, and what was thought to be needed; it may be
 * old, or missing, and only makes things better. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Where the slot goes in a compiler: out of the way of descriptors that builds pass around, and of the connections of
 * launchers that one may run. */
enum { slot_fd = 250 };
enum { most_slots = 1024 };
/* Half of the C++ files of leveldb need less; what has just begun is counted with it while it grows. */
enum { unknown_need_kb = 256 << 10, growing_s = 3 };
/* A slot that is free is found after 4 ms on average; the head's looks cost 0.1 % of a CPU. */
enum { first_pause_us = 500, last_pause_us = 8000 };
/* When the head looks whether all who hold a slot are at work: first, and then again and again. */
enum { first_look_ms = 30, look_ms = 1000 };
/* The head goes ahead after this long, or a build would stand still for a reason that nobody foresaw. */
#ifndef SHOAL_LONGEST_WAIT_S
#define SHOAL_LONGEST_WAIT_S (15 * 60)
#endif
enum { longest_wait_ms = SHOAL_LONGEST_WAIT_S * 1000 };
/* A head that is stopped (Ctrl-Z, in another terminal) keeps its queue, and all others meet at the next. Those who were
 * behind it notice so late; waking up costs them their place. */
#ifndef SHOAL_WAKE_S
#define SHOAL_WAKE_S 20
#endif
enum { queues = 8 };
/* Two builds with one number are like one build: they only lose by it what others gain. */
enum { turns = 64 };

struct slot {
	int32_t pid;
	uint32_t need_kb;
	uint32_t since_s;
};

static struct {
	int file;
	int queue;
	int turn;     /* the build's */
	bool held;    /* a slot is, by `file` and by `copy` */
	int copy;
	int cpus;
	int limit;    /* the last slot that may be taken: CPUs, and a slot for each that is held and not working */
	bool working; /* some holder may be */
	uint32_t need_kb;
	struct slot slots[most_slots + 1]; /* the first is none */
} gate;

/* After the records of slots, the heads of the queues, and who has the turn of a build. */
static const off_t heads_at = sizeof gate.slots;

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static bool set_lock(int command, short type, int byte)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	return fcntl(gate.file, command, &lock) == 0;
}

static bool is_held_by_others(int first, int count)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
	return fcntl(gate.file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void read_slots(void)
{
	ssize_t size = pread(gate.file, gate.slots, sizeof gate.slots, 0);
	size_t whole = size > 0 ? size / sizeof *gate.slots : 0;
	memset(gate.slots + whole, 0, sizeof gate.slots - whole * sizeof *gate.slots);
}

/* Others have begun so lately that their memory is still counted as free. */
static uint64_t promised_kb(void)
{
	uint64_t promised = 0;
	uint32_t now_s = now_ms() / 1000;
	read_slots();
	for (int slot = 1; slot <= gate.limit; slot++)
		if (now_s - gate.slots[slot].since_s < growing_s && is_held_by_others(slot, 1))
			promised += gate.slots[slot].need_kb;
	return promised;
}

static bool is_memory_enough(void)
{
	if (!gate.working || !is_held_by_others(1, gate.limit))
		return true; /* waiting would free nothing */
	uint64_t available = available_memory_kb();
	return available >= gate.need_kb && available - gate.need_kb >= promised_kb();
}

/* A write beyond the limit of file sizes would be our end, and the gate does without. */
static void write_at(off_t at, const void *bytes, size_t size)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < at + size)
		return;
	if (pwrite(gate.file, bytes, size, at) < 0)
		return;
}

static bool take_slot(void)
{
	for (int slot = 1; slot <= gate.limit; slot++) {
		if (!set_lock(F_OFD_SETLK, F_WRLCK, slot))
			continue;
		bool enough = is_memory_enough();
		struct slot record = {.pid = getpid(), .need_kb = gate.need_kb, .since_s = now_ms() / 1000};
		if (enough)
			write_at(slot * sizeof record, &record, sizeof record);
		else
			set_lock(F_OFD_SETLK, F_UNLCK, slot);
		return enough;
	}
	return false;
}

/* Slots of compiles that have been stopped, or have ended and left a process behind, are made up for: they would keep
 * every build of this user from going on. A process that has ended has given its locks back before that can be seen. */
static void look_at_holders(void)
{
	read_slots();
	gate.limit = gate.cpus;
	gate.working = false;
	for (int slot = 1; slot <= gate.limit; slot++) {
		if (!is_held_by_others(slot, 1))
			continue;
		if (!strchr("TtZX", state_of(gate.slots[slot].pid)))
			gate.working = true;
		else if (gate.limit < most_slots && is_held_by_others(slot, 1))
			gate.limit++;
	}
}

/* True for a process below one that holds a slot: that one waits for us, or for what we are part of. */
static bool is_below_a_slot(void)
{
	char state;
	pid_t pid = getpid();
	read_slots();
	for (int depth = 0; pid > 1 && depth < most_ancestors; depth++) {
		for (int slot = 1; slot <= most_slots; slot++)
			if (gate.slots[slot].pid == pid && is_held_by_others(slot, 1))
				return true;
		if (!look_at_process(pid, &state, &pid))
			return false;
	}
	return false;
}

static bool leads_to(const struct stat *found, int fd)
{
	struct stat open;
	return fstat(fd, &open) == 0 && open.st_dev == found->st_dev && open.st_ino == found->st_ino;
}

static void note_holder(int line)
{
	int32_t holder = getpid();
	write_at(heads_at + line * sizeof holder, &holder, sizeof holder);
}

static void wait_at_the_head(void)
{
	int64_t start = now_ms(), look = start + first_look_ms;
	long pause_us = first_pause_us;
	note_holder(gate.queue);
	while (!take_slot()) {
		const struct timespec pause = {.tv_nsec = pause_us * 1000};
		nanosleep(&pause, NULL);
		pause_us = pause_us * 5 / 4 < last_pause_us ? pause_us * 5 / 4 : last_pause_us;
		int64_t now = now_ms();
		if (now - start > longest_wait_ms)
			return;
		if (now >= look) {
			look_at_holders();
			look = now + look_ms;
		}
	}
}

static void on_alarm(int number)
{
	(void)number;
}

static void set_alarm(int seconds)
{
	const struct itimerval every = {.it_interval.tv_sec = seconds, .it_value.tv_sec = seconds};
	setitimer(ITIMER_REAL, &every, NULL);
}

/* Changes whenever a slot changes hands. */
static uint64_t hands(void)
{
	uint64_t sum = 0;
	read_slots();
	for (int slot = 1; slot <= most_slots; slot++)
		sum = sum * 1000003 + ((uint64_t)gate.slots[slot].since_s << 32 | (uint32_t)gate.slots[slot].pid);
	return sum;
}

/* Lines to wait in: the queues, and behind them the turns of builds. */
static int byte_of(int line)
{
	return line == 0 ? 0 : most_slots + line;
}

static bool is_held_by_stopped(int line)
{
	int32_t holders[queues + turns] = {0};
	return pread(gate.file, holders, sizeof holders, heads_at) > line * (ssize_t)sizeof *holders &&
	       is_held_by_others(byte_of(line), 1) && strchr("Tt", state_of(holders[line]));
}

static int choose_queue(void)
{
	gate.queue = 0;
	while (gate.queue < queues - 1 && is_held_by_stopped(gate.queue))
		gate.queue++;
	return gate.queue;
}

static int turn_line(void)
{
	return queues + gate.turn;
}

/* Sleeps until the line's lock is ours. False if it cannot be, or nothing at all has moved for too long. Goes on without
 * the turn of a build whose holder is stopped. */
static bool wait_in_line(int (*choose)(void))
{
	uint64_t last = hands();
	int64_t moved = now_ms();
	for (int line = choose(); !set_lock(F_OFD_SETLKW, F_WRLCK, byte_of(line)); line = choose()) {
		if (errno != EINTR || now_ms() - moved > longest_wait_ms)
			return false;
		if (line >= queues && is_held_by_stopped(line))
			return true;
		uint64_t seen = hands();
		if (seen != last)
			moved = now_ms();
		last = seen;
	}
	return true;
}

static bool wait_for_the_queue(void)
{
	if (!wait_in_line(turn_line))
		return false;
	note_holder(turn_line());
	bool is_head = wait_in_line(choose_queue);
	set_lock(F_OFD_SETLK, F_UNLCK, byte_of(turn_line()));
	return is_head;
}

/* The same with an alarm clock. One that was set for us before we began (perl -e 'alarm 9; exec …') is left as it is. */
static bool sleep_until_the_head(void)
{
	struct itimerval pending;
	if (getitimer(ITIMER_REAL, &pending) == 0 && timerisset(&pending.it_value))
		return wait_for_the_queue();
	struct sigaction wake = {.sa_handler = on_alarm}, action;
	sigset_t alarm, mask;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &wake, &action);
	sigprocmask(SIG_UNBLOCK, &alarm, &mask);
	set_alarm(SHOAL_WAKE_S);
	bool is_head = wait_for_the_queue();
	set_alarm(0);
	sigaction(SIGALRM, &action, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return is_head;
}

/* False if the file was removed before it was our turn: others meet at a new one. */
static bool pass(const char *path)
{
	struct stat found;
	gate.queue = 0;
	if (!set_lock(F_OFD_SETLK, F_WRLCK, 0)) {
		/* Another errno: locks that this file system or kernel does not have. */
		if ((errno != EAGAIN && errno != EACCES) || is_below_a_slot() || !sleep_until_the_head())
			return true;
	}
	if (lstat(path, &found) != 0 || !leads_to(&found, gate.file))
		return false;
	if (!take_slot() && !is_below_a_slot())
		wait_at_the_head();
	set_lock(F_OFD_SETLK, F_UNLCK, byte_of(gate.queue));
	return true;
}

/* Of the build that this compile belongs to: its session with the daemon, or else its terminal's job. */
static int own_turn(void)
{
	const char *session = getenv("SHOAL_SESSION");
	if (!session || !*session)
		return (unsigned)getpgrp() % turns;
	unsigned sum = 0;
	for (; *session; session++)
		sum = sum * 31 + (unsigned char)*session;
	return sum % turns;
}

/* Those that this process may run on, or SHOAL_CPUS. */
static int count_own_cpus(void)
{
#ifdef SHOAL_CPUS
	return SHOAL_CPUS;
#endif
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return most_slots; /* it has more CPUs than the set */
	int count = CPU_COUNT(&set);
	return count < 1 ? 1 : count;
}

static int count_cpus(void)
{
	int count = count_own_cpus();
	uint64_t allowed = cpus_of_group();
	return allowed < (uint64_t)count ? (int)allowed : count;
}

/* Returns with a slot, which the compiler inherits; at once where this process is part of one that has a slot; without
 * one where there can be no gate. */
void enter_gate(uint32_t need_kb)
{
	char directory[PATH_MAX], path[PATH_MAX + 8];
	if (!runtime_directory(directory))
		return;
	snprintf(path, sizeof path, "%s/gate", directory);
	gate.limit = gate.cpus = count_cpus();
	gate.working = true;
	gate.turn = own_turn();
	gate.need_kb = need_kb > 0 ? need_kb : unknown_need_kb;
	for (bool passed = false; !passed;) {
		struct stat file;
		gate.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (gate.file < 0 || fstat(gate.file, &file) != 0 || leads_to(&file, slot_fd))
			return;
		passed = pass(path);
		if (!passed)
			close(gate.file);
	}
	/* Where the limit of descriptors leaves no room there, it stays where it is. */
	gate.copy = fcntl(gate.file, F_DUPFD, slot_fd);
	if (gate.copy < 0)
		fcntl(gate.file, F_SETFD, 0);
	gate.held = true;
}

/* What the slot was for has ended, and this process goes on without it. */
void leave_gate(void)
{
	if (!gate.held)
		return;
	if (gate.copy >= 0)
		close(gate.copy);
	close(gate.file);
	gate.held = false;
}

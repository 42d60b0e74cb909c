/* A static program that an admitted client sends along and has executed. Prints what it could do that it should not:
 * nothing, if the sandbox holds.
 *   open PATH...     prints the content of each that can be read
 *   write PATH...    prints each that can be written
 *   walk DIRECTORY   prints every regular file below it that can be read, but /proc, /usr, /lib...
 *   processes        what can be learnt of, and done to, the other processes in sight
 *   meet NAME        looks for a mailbox that another job may share: abstract sockets, SysV, POSIX queues, keyrings
 *   forks            forks for ever, without waiting
 *   memory N         N processes that each fill memory for ever
 *   inodes           makes files until it cannot
 *   many N           leaves N files in /out
 *   deep N           leaves N directories in each other in /out
 *   odd              leaves in /out what is no file: FIFO, marks of absence, links; and 200 MB of nothing
 *   daemon           leaves a process in a session of its own that holds nothing and sleeps for a day
 *   immortal         ignores every signal and stays
 *   everyone SIGNAL  sends it to all that can be reached
 *   rights           which ids and capabilities it has
 *   limits           tries to raise each limit, and to get a core written
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void could(const char *what, long result)
{
	if (result >= 0)
		printf("could %s\n", what);
}

static void print_file(const char *path)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
	if (got >= 0) {
		printf("%s: ", path);
		fwrite(bytes, 1, got, stdout);
		putchar('\n');
	}
	close(fd);
}

static void write_to(const char *path)
{
	char told[4200];
	int fd = open(path, O_WRONLY | O_CREAT, 0666);
	snprintf(told, sizeof told, "write %s", path);
	could(told, fd < 0 ? -1 : write(fd, "attacked", 8));
	close(fd);
}

static int print_one(const char *path, const struct stat *found, int kind, struct FTW *at)
{
	static const char *const known[] = {"/proc", "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc/alternatives"};
	(void)at;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (kind == FTW_D && strcmp(path, known[i]) == 0)
			return FTW_SKIP_SUBTREE;
	if (kind == FTW_F && S_ISREG(found->st_mode) && access(path, R_OK) == 0)
		puts(path);
	return FTW_CONTINUE;
}

static void try_process(const char *pid)
{
	static const char *const parts[] = {"environ", "mem", "maps", "root/etc/shadow", "root/j", "root/s", "cwd/x", "fd/0", "fd/1", "exe", "auxv"};
	char path[300];
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		snprintf(path, sizeof path, "/proc/%s/%s", pid, parts[i]);
		could(path, open(path, O_RDONLY | O_NONBLOCK));
	}
	could("ptrace", ptrace(PTRACE_SEIZE, atoi(pid), 0, 0));
	could("pidfd_getfd", syscall(438, syscall(434, atoi(pid), 0), 1, 0));
}

static void try_processes(void)
{
	for (int fd = 3; fd < 4096; fd++)
		could("use an open descriptor", fcntl(fd, F_GETFD));
	DIR *entries = opendir("/proc");
	int seen = 0;
	for (struct dirent *entry; entries && (entry = readdir(entries));) {
		int pid = atoi(entry->d_name);
		if (pid <= 0)
			continue;
		seen++;
		if (pid != getpid())
			try_process(entry->d_name);
	}
	if (seen != 2)
		printf("%d processes in sight\n", seen);
}

static void try_mailboxes(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int pair[2] = {-1, -1};
	strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
		puts("no socketpair");
	could("bind", bind(pair[0], (struct sockaddr *)&address, size));
	could("connect", connect(pair[1], (struct sockaddr *)&address, size));
	could("send to a name", sendto(pair[1], "x", 1, 0, (struct sockaddr *)&address, size));
	for (int family = 0; family < 46; family++)
		could("make a socket", socket(family, SOCK_RAW, 0)), could("make a socket", socket(family, SOCK_STREAM, 0));
	for (int family = 2; family < 46; family++)
		could("make a pair of others", socketpair(family, SOCK_DGRAM, 0, pair));
	could("find shared memory", syscall(SYS_shmget, 0x5ea1, 4096, 0666));
	could("make shared memory", syscall(SYS_shmget, 0x5ea1, 4096, 01000 | 0666));
	could("make a message queue", syscall(SYS_msgget, 0x5ea1, 01000 | 0666));
	could("make a semaphore", syscall(SYS_semget, 0x5ea1, 1, 01000 | 0666));
	could("open a POSIX queue", syscall(SYS_mq_open, "shoal", O_CREAT | O_RDWR, 0666, NULL));
	could("add a key", syscall(SYS_add_key, "user", name, "x", 1L, -4));
	could("find a key", syscall(SYS_request_key, "user", name, NULL, 0));
	could("join a keyring", syscall(SYS_keyctl, 1, name));
	could("use shared names in /dev", open("/dev/shm/x", O_CREAT | O_RDWR, 0666));
}

static void fill_memory(long processes)
{
	while (--processes > 0 && fork() > 0)
		continue;
	for (;;) {
		char *block = malloc(8 << 20);
		if (block)
			memset(block, 1, 8 << 20);
	}
}

static void make_files(const char *directory, long count)
{
	char path[64];
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%ld", directory, i);
		int fd = open(path, O_WRONLY | O_CREAT, 0644);
		if (fd < 0)
			exit(9);
		close(fd);
	}
}

static void leave_odd_things(void)
{
	int fd = open("/out/vast", O_WRONLY | O_CREAT, 0644);
	signal(SIGXFSZ, SIG_IGN);
	could("claim a terabyte", ftruncate(fd, 1L << 40));
	if (ftruncate(fd, 200 << 20) != 0)
		exit(8);
	could("make a device", mknod("/out/null", S_IFCHR | 0666, 0x103));
	could("make a disk", mknod("/out/disk", S_IFBLK | 0666, 0x800));
	if (mkfifo("/out/fifo", 0666) != 0 || symlink("/etc/shadow", "/out/link") != 0 || symlink("/", "/out/root") != 0 ||
	    symlink("/proc/1/root", "/out/magic") != 0 || symlink("loop", "/out/loop") != 0)
		exit(8);
	mknod("/out/absent", S_IFCHR, 0);
}

static void ignore_signals(void)
{
	for (int number = 1; number < 32; number++)
		signal(number, SIG_IGN);
	for (;;)
		pause();
}

static void signal_everyone(int number)
{
	kill(-1, number);
	for (int pid = 1; pid < 1000; pid++)
		if (pid != getpid())
			kill(pid, number), kill(-pid, number);
	puts("still here");
}

static void show_rights(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		if (strncmp(line, "Uid:", 4) == 0 || strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0)
			fputs(line, stdout);
}

static void try_limits(void)
{
	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit limit;
		getrlimit(resource, &limit);
		/* What it is not limited in, it may set; the group or the namespace bounds that. */
		if (limit.rlim_max == RLIM_INFINITY)
			continue;
		limit.rlim_max++;
		could("raise a limit", setrlimit(resource, &limit));
	}
	struct rlimit none = {0, 0}, cores;
	could("lower the limit of cores", setrlimit(RLIMIT_CORE, &none));
	if (getrlimit(RLIMIT_CORE, &cores) != 0 || cores.rlim_cur != 1)
		puts("cores are written");
	could("be nicer than others", setpriority(PRIO_PROCESS, 0, -1));
	could("be real-time", syscall(SYS_sched_setscheduler, 0, 1, &(int){1}));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long number = argc > 2 ? atol(argv[2]) : 0;
	if (strcmp(what, "open") == 0)
		for (char **path = argv + 2; *path; path++)
			print_file(*path);
	else if (strcmp(what, "write") == 0)
		for (char **path = argv + 2; *path; path++)
			write_to(*path);
	else if (strcmp(what, "walk") == 0)
		nftw(argv[2], print_one, 64, FTW_PHYS | FTW_ACTIONRETVAL);
	else if (strcmp(what, "processes") == 0)
		try_processes();
	else if (strcmp(what, "meet") == 0)
		try_mailboxes(argv[2]);
	else if (strcmp(what, "forks") == 0)
		for (;;)
			fork();
	else if (strcmp(what, "memory") == 0)
		fill_memory(number);
	else if (strcmp(what, "inodes") == 0)
		make_files("/tmp", 1L << 40);
	else if (strcmp(what, "many") == 0)
		make_files("/out", number);
	else if (strcmp(what, "deep") == 0)
		for (int made = chdir("/out"); made == 0 && number-- > 0;)
			made = mkdir("d", 0755) || chdir("d");
	else if (strcmp(what, "odd") == 0)
		leave_odd_things();
	else if (strcmp(what, "daemon") == 0) {
		if (fork() == 0 && setsid() > 0 && fork() == 0)
			syscall(436, 0U, ~0U, 0U), sleep(86400);
	} else if (strcmp(what, "immortal") == 0)
		ignore_signals();
	else if (strcmp(what, "everyone") == 0)
		signal_everyone(number);
	else if (strcmp(what, "rights") == 0)
		show_rights();
	else if (strcmp(what, "limits") == 0)
		try_limits();
	return 0;
}

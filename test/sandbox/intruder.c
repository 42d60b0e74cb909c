/* Tries what a job must not be able to do, and prints what it could: nothing, if the sandbox holds.
 *   calls     system calls that are to be refused
 *   refused N=E...   system calls by number, and the error that each is to give
 *   leader    what can be done to pid 1, which has the same uid
 *   look      what is to be seen of the slot: descriptors, processes, names in the root
 *   grow N    writes N MiB to a file
 *   ignore    leaves a child that ignores every signal that it can, and holds the streams
 *   traps     leaves a FIFO, a large file without blocks, links to files, directories and pid 1, what nobody may read
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void expect(const char *name, long result, int wanted)
{
	if (result >= 0)
		printf("%s succeeded\n", name);
	else if (errno != wanted)
		printf("%s: %s\n", name, strerror(errno));
}

static void try_calls(void)
{
	expect("socket inet", socket(AF_INET, SOCK_STREAM, 0), EPERM);
	expect("socket unix", socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
	expect("mount", mount("tmpfs", "/tmp", "tmpfs", 0, NULL), EPERM);
	expect("remount", mount(NULL, "/", NULL, MS_REMOUNT, "size=1g"), EPERM);
	expect("umount", umount2("/dev/null", MNT_DETACH), EPERM);
	expect("chroot", chroot("/tmp"), EPERM);
	expect("unshare", unshare(CLONE_NEWUSER), EPERM);
	expect("setns", setns(0, 0), EPERM);
	expect("clone", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM);
	expect("clone3", syscall(435, NULL, 0), ENOSYS);
	expect("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM);
	expect("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	expect("add_key", syscall(SYS_add_key, "user", "x", "x", 1, -3), EPERM);
	expect("bpf", syscall(SYS_bpf, 0, NULL, 0), EPERM);
	expect("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM);
	expect("userfaultfd", syscall(SYS_userfaultfd, 0), EPERM);
	expect("io_uring_setup", syscall(425, 1, NULL), EPERM);
	expect("open_tree", syscall(428, AT_FDCWD, "/", 1), EPERM);
	expect("fsopen", syscall(430, "tmpfs", 0), EPERM);
	expect("mknod null", mknod("/tmp/null", S_IFCHR | 0666, 0x103), EPERM);
	expect("setuid", setuid(0), EINVAL);
	expect("priority", setpriority(PRIO_PROCESS, 0, -5), EACCES);
	expect("open zero", open("/dev/zero", O_RDONLY), ENOENT);
}

/* A call that is refused is never made: none can block or do harm. */
static void try_numbers(char **pairs)
{
	for (; *pairs; pairs++) {
		int number, wanted;
		if (sscanf(*pairs, "%d=%d", &number, &wanted) == 2)
			expect(*pairs, syscall(number, 0, 0, 0, 0, 0, 0), wanted);
	}
}

static void try_leader(void)
{
	struct rlimit none = {0, 0};
	kill(1, SIGKILL);
	kill(1, SIGSTOP);
	expect("prlimit", syscall(SYS_prlimit64, 1, RLIMIT_FSIZE, &none, NULL), EPERM);
	expect("memory", open("/proc/1/mem", O_RDWR), EACCES);
	expect("root", open("/proc/1/root/j", O_RDONLY), EACCES);
	expect("descriptors", open("/proc/1/fd/1", O_WRONLY), EACCES);
	expect("ptrace", syscall(SYS_ptrace, PTRACE_ATTACH, 1, 0, 0), EPERM);
	expect("process_vm_readv", syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0), EPERM);
}

static void list(const char *directory)
{
	DIR *entries = opendir(*directory ? directory : "/");
	for (struct dirent *entry; entries && (entry = readdir(entries));)
		if (entry->d_name[0] != '.')
			printf("%s/%s\n", directory, entry->d_name);
	if (entries)
		closedir(entries);
}

static void grow(long mebibytes)
{
	static char block[1 << 20];
	int fd = open("/tmp/grown", O_WRONLY | O_CREAT, 0644);
	memset(block, 'x', sizeof block);
	while (mebibytes-- > 0)
		if (write(fd, block, sizeof block) != (ssize_t)sizeof block)
			exit(9);
}

static void ignore_everything(void)
{
	if (fork() != 0)
		exit(7);
	for (int number = 1; number < 32; number++)
		signal(number, SIG_IGN);
	setsid();
	for (;;)
		fork();
}

static void leave_traps(void)
{
	int fd = open("/out/vast", O_WRONLY | O_CREAT, 0644);
	if (mkfifo("/out/fifo", 0644) != 0 || ftruncate(fd, 200 << 20) != 0 || symlink("/intruder", "/out/link") != 0 ||
	    symlink("/", "/out/up") != 0 || symlink("/proc/1/root", "/out/magic") != 0 || mkdir("/out/closed", 0755) != 0 ||
	    close(open("/out/closed/file", O_WRONLY | O_CREAT, 0)) != 0 || chmod("/out/closed", 0) != 0)
		exit(8);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	errno = 0;
	if (strcmp(what, "calls") == 0)
		try_calls();
	else if (strcmp(what, "refused") == 0)
		try_numbers(argv + 2);
	else if (strcmp(what, "leader") == 0)
		try_leader();
	else if (strcmp(what, "look") == 0)
		list(""), list("/proc/self/fd"), list("/dev"), list("/tmp"), list("/proc");
	else if (strcmp(what, "grow") == 0)
		grow(atol(argv[2]));
	else if (strcmp(what, "ignore") == 0)
		ignore_everything();
	else if (strcmp(what, "traps") == 0)
		leave_traps();
	return 0;
}

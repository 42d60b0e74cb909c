/* The filter of system calls, in classic BPF. What compilers and the tools of a build need is allowed; what an attacker
 * wants fails with EPERM; all other calls, those too that the kernel will learn yet, do not exist (ENOSYS), which is what
 * libraries are prepared for. The list comes from traces of gcc, clang, musl-gcc, binutils, make, shells and interpreters
 * (docs/decisions/containment.md), and from what the libraries fall back to on older kernels.
 *
 * Neighbours of one verdict are one range, and the ranges are searched by halves. The kernel compiles the filter for every
 * job, which costs 0.3 us a step, and runs it once for each call number, to note those that always pass: for them it is
 * not run again. */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE 0xc000003eU
#elif defined(__aarch64__)
#define ARCHITECTURE 0xc00000b7U
#else
#error "the filter of system calls knows x86_64 and aarch64"
#endif

static const short needed[] = {
#if defined(__x86_64__)
	SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_poll, SYS_select, SYS_pipe, SYS_dup2, SYS_pause, SYS_alarm,
	SYS_fork, SYS_vfork, SYS_getdents, SYS_rename, SYS_mkdir, SYS_rmdir, SYS_link, SYS_unlink, SYS_symlink, SYS_readlink,
	SYS_chmod, SYS_chown, SYS_lchown, SYS_getpgrp, SYS_utime, SYS_utimes, SYS_futimesat, SYS_mknod, SYS_time,
	SYS_epoll_create, SYS_epoll_wait, SYS_eventfd, SYS_signalfd, SYS_inotify_init, SYS_arch_prctl,
#endif
	/* files */
	SYS_openat, nr_openat2, SYS_close, nr_close_range, SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64,
	SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_statx,
	SYS_statfs, SYS_fstatfs, SYS_faccessat, 439 /* faccessat2 */, SYS_fcntl, SYS_ioctl, SYS_flock, SYS_fsync, SYS_fdatasync,
	SYS_truncate, SYS_ftruncate, SYS_fallocate, SYS_fadvise64, SYS_readahead, SYS_sync_file_range, SYS_sendfile,
	SYS_copy_file_range, SYS_splice, SYS_tee, SYS_dup, SYS_dup3, SYS_pipe2, 451 /* cachestat */,
	/* names */
	SYS_getdents64, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_mkdirat, SYS_mknodat, SYS_unlinkat, SYS_renameat, SYS_renameat2,
	SYS_linkat, SYS_symlinkat, SYS_readlinkat, SYS_fchmod, SYS_fchmodat, 452 /* fchmodat2 */, SYS_fchown, SYS_fchownat,
	SYS_utimensat, SYS_umask, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr,
	SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
	463 /* setxattrat */, 464 /* getxattrat */, 465 /* listxattrat */, 466 /* removexattrat */,
	/* memory; none that is nobody's, as of memfd_create or SysV */
	SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_msync, SYS_mincore, SYS_madvise, SYS_mlock, SYS_munlock,
	SYS_mlockall, SYS_munlockall, SYS_mlock2, SYS_pkey_mprotect, SYS_pkey_alloc, SYS_pkey_free, SYS_get_mempolicy,
	SYS_membarrier, 453 /* map_shadow_stack */, 462 /* mseal */,
	/* processes and threads; clone's flags are looked at, clone3's cannot be */
	SYS_execve, SYS_execveat, SYS_exit, SYS_exit_group, SYS_wait4, SYS_waitid, nr_pidfd_open, 424 /* pidfd_send_signal */,
	SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgid, SYS_setpgid, SYS_getsid, SYS_setsid, SYS_set_tid_address,
	SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_futex, 449 /* futex_waitv */, 454 /* futex_wake */,
	455 /* futex_wait */, 456 /* futex_requeue */, SYS_prctl, SYS_sched_yield, SYS_sched_getaffinity,
	SYS_sched_setaffinity, SYS_sched_getparam, SYS_sched_setparam, SYS_sched_getscheduler, SYS_sched_setscheduler,
	SYS_sched_getattr, SYS_sched_setattr, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
	SYS_sched_rr_get_interval, SYS_getpriority, SYS_setpriority, SYS_ioprio_get, SYS_ioprio_set, SYS_getcpu,
	SYS_getrlimit, SYS_setrlimit, SYS_getrusage, SYS_times, SYS_sysinfo, SYS_uname,
	/* who one is; without capabilities nothing comes of it */
	SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_setuid, SYS_setgid,
	SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_capget,
	SYS_capset,
	/* signals and time */
	SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigpending, SYS_rt_sigqueueinfo,
	SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_rt_tgsigqueueinfo, SYS_sigaltstack, SYS_restart_syscall,
	SYS_signalfd4, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
	SYS_getitimer, SYS_setitimer, SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun,
	SYS_timer_delete, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_getrandom,
	/* waiting; a pair of sockets is a pipe in both directions */
	SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, 441 /* epoll_pwait2 */, SYS_eventfd2,
	SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,
	SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
};

static const short dangerous[] = {
	/* other processes */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_migrate_pages, SYS_move_pages,
	438 /* pidfd_getfd */, 440 /* process_madvise */, 448 /* process_mrelease */,
	/* mounts and roots; 457 and 458 tell about mounts */
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_swapon, SYS_swapoff, SYS_quotactl, 443 /* quotactl_fd */,
	nr_open_tree, nr_move_mount, 430 /* fsopen */, 431 /* fsconfig */, 432 /* fsmount */, 433 /* fspick */,
	nr_mount_setattr, 467 /* open_tree_attr */, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_fanotify_init,
	SYS_fanotify_mark, 457 /* statmount */, 458 /* listmount */,
	/* namespaces, beside clone's flags */
	SYS_unshare, SYS_setns,
	/* the kernel and the machine */
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_kexec_load, SYS_init_module, SYS_finit_module,
	SYS_delete_module, SYS_reboot, SYS_syslog, SYS_acct, SYS_sethostname, SYS_setdomainname, SYS_settimeofday,
	SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_vhangup,
	425 /* io_uring_setup */, 426 /* io_uring_enter */, 427 /* io_uring_register */,
	/* keyrings, which all jobs of a uid share */
	SYS_add_key, SYS_request_key, SYS_keyctl,
	/* the network */
	SYS_socket, SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#if defined(__x86_64__)
	SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_create_module,
#endif
};

enum { needed_count = sizeof needed / sizeof *needed, dangerous_count = sizeof dangerous / sizeof *dangerous };

/* From the kernel's headers: operations of a classic filter, its verdicts, and struct seccomp_data's layout. */
enum { op_load = 0x20, op_equal = 0x15, op_at_least = 0x35, op_any_set = 0x45, op_return = 0x06 };
#define ALLOW 0x7fff0000U
#define REFUSE(number) (0x00050000U | (number))
enum { at_number = 0, at_architecture = 4, at_arguments = 16 };

enum { numbers = 512, most_regions = 256, most_steps = 64 + 2 * most_regions };

static struct kernel_filter steps[most_steps];
static unsigned short step_count;

static void step(uint16_t code, uint32_t k, uint8_t jump_true, uint8_t jump_false)
{
	steps[step_count++] = (struct kernel_filter){code, jump_true, jump_false, k};
}

/* Calls from `from` up to where the next region begins have one verdict. There is a step for each region of the search and
 * one for each bound between two, and a jump reaches 255: so there may be 256 regions. */
struct region {
	uint32_t from, verdict;
};
static struct region regions[most_regions];

static int find_regions(void)
{
	static uint32_t verdicts[numbers + 1];
	int count = 0;
	for (int i = 0; i <= numbers; i++)
		verdicts[i] = REFUSE(ENOSYS);
	for (int i = 0; i < needed_count; i++)
		verdicts[needed[i]] = ALLOW;
	for (int i = 0; i < dangerous_count; i++)
		verdicts[dangerous[i]] = REFUSE(EPERM);
	for (int i = 0; i <= numbers; i++) {
		if (i > 0 && verdicts[i] == verdicts[i - 1])
			continue;
		if (count == most_regions)
			abort();
		regions[count++] = (struct region){i, verdicts[i]};
	}
	return count;
}

static void search(int low, int high)
{
	if (low == high) {
		step(op_return, regions[low].verdict, 0, 0);
		return;
	}
	int middle = (low + high + 1) / 2;
	step(op_at_least, regions[middle].from, 2 * (middle - low) - 1, 0);
	search(low, middle - 1);
	search(middle, high);
}

void compile_filter(void)
{
	enum { new_namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
				CLONE_NEWNET };
	/* Programs for another architecture (32 bits, x32) would count their calls differently. */
	step(op_load, at_architecture, 0, 0);
	step(op_equal, ARCHITECTURE, 1, 0);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_load, at_number, 0, 0);
	step(op_at_least, 0x40000000U, 0, 1);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_equal, SYS_clone, 0, 4);
	step(op_load, at_arguments, 0, 0);
	step(op_any_set, new_namespaces, 0, 1);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_return, ALLOW, 0, 0);
	/* Limits of oneself only, for the leader has the same uid; that of cores may be read. */
	step(op_equal, SYS_prlimit64, 0, 10);
	step(op_load, at_arguments, 0, 0);
	step(op_equal, 0, 0, 6);
	step(op_load, at_arguments + 8, 0, 0);
	step(op_equal, RLIMIT_CORE, 0, 5);
	step(op_load, at_arguments + 16, 0, 0);
	step(op_equal, 0, 0, 2);
	step(op_load, at_arguments + 20, 0, 0);
	step(op_equal, 0, 1, 0);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_return, ALLOW, 0, 0);
	step(op_equal, SYS_setrlimit, 0, 4);
	step(op_load, at_arguments, 0, 0);
	step(op_equal, RLIMIT_CORE, 0, 1);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_return, ALLOW, 0, 0);
	/* Of the families that make pairs, the one that stays in the kernel's memory. */
	step(op_equal, SYS_socketpair, 0, 4);
	step(op_load, at_arguments, 0, 0);
	step(op_equal, AF_UNIX, 1, 0);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_return, ALLOW, 0, 0);
	search(0, find_regions() - 1);
}

bool install_filter(void)
{
	enum { mode_filter = 2 };
	struct kernel_program program = {step_count, steps};
	return prctl(PR_SET_SECCOMP, mode_filter, &program, 0, 0) == 0;
}

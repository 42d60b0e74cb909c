/* The system calls that a compile has no business with. Namespaces, a root without devices and a uid without rights are
 * the walls; this takes away most of the kernel's surface behind them. Denied calls get EPERM, clone3 ENOSYS (its flags
 * are in memory, where a filter cannot look: libc then falls back to clone). */
#include "init.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#define THIS_ARCH 0
#endif

static const int denied[] = {
	SYS_socket, SYS_socketpair, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2,
	SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_bpf, SYS_perf_event_open, SYS_keyctl, SYS_add_key,
	SYS_request_key, SYS_userfaultfd, SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_reboot,
	SYS_swapon, SYS_swapoff, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_acct, SYS_quotactl, SYS_syslog,
	SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_fanotify_init, SYS_lookup_dcookie, SYS_move_pages, SYS_kcmp,
	SYS_vhangup, SYS_personality,
#ifdef SYS_iopl
	SYS_iopl, SYS_ioperm,
#endif
#ifdef SYS_io_uring_setup
	SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
#endif
#ifdef SYS_open_tree
	SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
#endif
#ifdef SYS_mount_setattr
	SYS_mount_setattr,
#endif
};

enum { denied_count = sizeof denied / sizeof *denied };

/* New namespaces by clone's flags, which are its first argument. */
enum { namespace_flags = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };

bool install_filter(void)
{
	if (THIS_ARCH == 0)
		return true; /* numbers are not known here: the namespaces have to do */
	static struct sock_filter program[denied_count + 20];
	unsigned short length = 0;
#define STATEMENT(code, value) program[length++] = (struct sock_filter)BPF_STMT(code, value)
#define JUMP(code, value, yes, no) program[length++] = (struct sock_filter)BPF_JUMP(code, value, yes, no)
	STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
	STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	/* x32's calls are x86-64's with bit 30 set: none of them. */
	JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
	STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	JUMP(BPF_JMP | BPF_JEQ | BPF_K, 435 /* clone3 */, 0, 1);
	STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	for (int i = 0; i < denied_count; i++)
		JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i], denied_count - i + 3, 0);
	JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2);
	STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
	JUMP(BPF_JMP | BPF_JSET | BPF_K, namespace_flags, 1, 0);
	STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	STATEMENT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	struct sock_fprog filter = {.len = length, .filter = program};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

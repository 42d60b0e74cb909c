/* The filter of system calls: a list of what no compiler needs and an attacker wants, in classic BPF. What is listed
 * fails with EPERM. Calls that are newer than the list pass; namespaces and missing capabilities stand behind it.
 *
 * Neighbours in the list are one range, and the ranges are searched by halves. The kernel compiles the filter for every
 * job, which costs 0.3 us a step, and runs it once for each call number, to note those that always pass. */
#include "init.h"
#include "init_kernel.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE 0xc000003eU
#elif defined(__aarch64__)
#define ARCHITECTURE 0xc00000b7U
#else
#error "the filter of system calls knows x86_64 and aarch64"
#endif

static const int denied[] = {
	/* other processes */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_migrate_pages, SYS_move_pages,
	438 /* pidfd_getfd */, 440 /* process_madvise */, 448 /* process_mrelease */,
	/* mounts and roots; 457 and 458 tell about mounts */
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_swapon, SYS_swapoff, SYS_quotactl, 443 /* quotactl_fd */,
	nr_open_tree, nr_move_mount, 430 /* fsopen */, 431 /* fsconfig */, 432 /* fsmount */, 433 /* fspick */,
	nr_mount_setattr, 467 /* open_tree_attr */, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_fanotify_init,
	457 /* statmount */, 458 /* listmount */,
	/* namespaces, beside clone's flags */
	SYS_unshare, SYS_setns,
	/* the kernel and the machine */
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_kexec_load, SYS_init_module, SYS_finit_module,
	SYS_delete_module, SYS_reboot, SYS_syslog, SYS_acct, SYS_sethostname, SYS_setdomainname, SYS_settimeofday,
	SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_vhangup, SYS_lookup_dcookie,
	425 /* io_uring_setup */, 426 /* io_uring_enter */, 427 /* io_uring_register */,
	/* keyrings, which all jobs of a uid share */
	SYS_add_key, SYS_request_key, SYS_keyctl,
	/* the network; socketpair stays */
	SYS_socket,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#if defined(__x86_64__)
	SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl, SYS_create_module,
	SYS_get_kernel_syms, SYS_query_module, SYS_nfsservctl,
#endif
};

enum { denied_count = sizeof denied / sizeof *denied };

/* From the kernel's headers: operations of a classic filter, its verdicts, and struct seccomp_data's layout. */
enum { op_load = 0x20, op_equal = 0x15, op_at_least = 0x35, op_any_set = 0x45, op_return = 0x06 };
#define ALLOW 0x7fff0000U
#define REFUSE(number) (0x00050000U | (number))
enum { at_number = 0, at_architecture = 4, at_arguments = 16 };

static struct kernel_filter steps[32 + 4 * denied_count];
static unsigned short step_count;

static void step(uint16_t code, uint32_t k, uint8_t jump_true, uint8_t jump_false)
{
	steps[step_count++] = (struct kernel_filter){code, jump_true, jump_false, k};
}

/* bounds[r - 1] is where region r of the numbers begins; what is denied are the odd regions. There is a step for each
 * region of the search and one for each bound between two, and a jump reaches 255. */
static int bounds[2 * denied_count];
_Static_assert(2 * denied_count <= 255, "the regions are too far apart for a jump");

static void search(int low, int high)
{
	if (low == high) {
		step(op_return, low % 2 ? REFUSE(EPERM) : ALLOW, 0, 0);
		return;
	}
	int middle = (low + high + 1) / 2;
	step(op_at_least, bounds[middle - 1], 2 * (middle - low) - 1, 0);
	search(low, middle - 1);
	search(middle, high);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Returns how many there are. */
static int find_bounds(void)
{
	int sorted[denied_count], count = 0;
	memcpy(sorted, denied, sizeof sorted);
	qsort(sorted, denied_count, sizeof *sorted, by_number);
	for (int i = 0; i < denied_count; i++) {
		if (i == 0 || sorted[i] != sorted[i - 1] + 1)
			bounds[count++] = sorted[i];
		if (i + 1 == denied_count || sorted[i + 1] != sorted[i] + 1)
			bounds[count++] = sorted[i] + 1;
	}
	return count;
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
	/* Its flags are in memory, out of a filter's sight; libraries then use clone. */
	step(op_equal, nr_clone3, 0, 1);
	step(op_return, REFUSE(ENOSYS), 0, 0);
	step(op_equal, SYS_clone, 0, 4);
	step(op_load, at_arguments, 0, 0);
	step(op_any_set, new_namespaces, 0, 1);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_return, ALLOW, 0, 0);
	/* Limits of oneself only: the leader has the same uid. */
	step(op_equal, SYS_prlimit64, 0, 4);
	step(op_load, at_arguments, 0, 0);
	step(op_equal, 0, 1, 0);
	step(op_return, REFUSE(EPERM), 0, 0);
	step(op_return, ALLOW, 0, 0);
	search(0, find_bounds());
}

bool install_filter(void)
{
	enum { mode_filter = 2 };
	struct kernel_program program = {step_count, steps};
	return prctl(PR_SET_SECCOMP, mode_filter, &program, 0, 0) == 0;
}

/* What the kernel's headers would say: musl comes without them. All of it is stable ABI. */
#ifndef SHOAL_INIT_KERNEL_H
#define SHOAL_INIT_KERNEL_H
#include <stdint.h>
#include <sys/syscall.h>

/* One number for all architectures since 5.1. */
enum { nr_open_tree = 428, nr_move_mount = 429, nr_pidfd_open = 434, nr_clone3 = 435, nr_close_range = 436 };
enum { nr_openat2 = 437, nr_mount_setattr = 442 };

struct kernel_open_how {
	uint64_t flags, mode, resolve;
};
enum { resolve_no_magiclinks = 0x02, resolve_no_symlinks = 0x04, resolve_beneath = 0x08 };

struct kernel_mount_attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};
enum { mount_attr_rdonly = 1, mount_attr_nosuid = 2, mount_attr_nodev = 4 };
enum { open_tree_clone = 1, at_recursive = 0x8000, move_mount_f_empty_path = 4, move_mount_t_empty_path = 0x40 };

enum { clone_pidfd = 0x1000 };

struct kernel_cap_header {
	uint32_t version;
	int pid;
};
struct kernel_cap_data {
	uint32_t effective, permitted, inheritable;
};
enum { capability_version_3 = 0x20080522 };

struct kernel_filter {
	uint16_t code;
	uint8_t jump_true, jump_false;
	uint32_t k;
};
struct kernel_program {
	unsigned short count;
	struct kernel_filter *filter;
};

#endif

/* Of <linux/landlock.h>, which older headers lack. */
#ifndef SHOAL_LANDLOCK_H
#define SHOAL_LANDLOCK_H
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ruleset_attr {
	uint64_t files, network, scoped;
};
struct path_beneath_attr {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

enum { nr_create_ruleset = 444, nr_add_rule = 445, nr_restrict_self = 446 };
enum { create_ruleset_version = 1, rule_path_beneath = 1, scope_abstract_socket = 1, scope_signal = 2 };
enum {
	execute = 1 << 0,
	write_file = 1 << 1,
	read_file = 1 << 2,
	read_dir = 1 << 3,
	remove_dir = 1 << 4,
	remove_file = 1 << 5,
	make_char = 1 << 6,
	make_dir = 1 << 7,
	make_reg = 1 << 8,
	make_sock = 1 << 9,
	make_fifo = 1 << 10,
	make_block = 1 << 11,
	make_sym = 1 << 12,
	refer = 1 << 13,     /* version 2 */
	truncating = 1 << 14, /* version 3 */
	ioctl_dev = 1 << 15, /* version 5 */
};
/* All rights that the first version knows. */
enum { first_version = (1 << 13) - 1 };

static inline int landlock_version(void)
{
	long version = syscall(nr_create_ruleset, NULL, 0, create_ruleset_version);
	return version < 0 ? 0 : version;
}

#endif

/* How much memory a compile that begins now could have. */
#include "shoal.h"
#include <stdlib.h>
#include <string.h>

#ifndef SHOAL_MEMINFO
#define SHOAL_MEMINFO "/proc/meminfo"
#endif
/* In a container, its own group; on a box that is none, the root, which has no limit. */
#ifndef SHOAL_CGROUP
#define SHOAL_CGROUP "/sys/fs/cgroup"
#endif

/* The number that follows `key` in the file. */
static bool number_in(const char *path, const char *key, uint64_t *number)
{
	char text[4096];
	const char *at = read_text(path, text, sizeof text) ? strstr(text, key) : NULL;
	if (!at)
		return false;
	at += strlen(key);
	char *end;
	*number = strtoull(at, &end, 10);
	return end != at;
}

/* What the control group has left; the files it has cached count as its use, and are given up when it needs more. */
static uint64_t left_in_group_kb(void)
{
	uint64_t limit, used, inactive = 0, active = 0;
	if (!number_in(SHOAL_CGROUP "/memory.max", "", &limit) || !number_in(SHOAL_CGROUP "/memory.current", "", &used))
		return UINT64_MAX;
	number_in(SHOAL_CGROUP "/memory.stat", "\ninactive_file ", &inactive);
	number_in(SHOAL_CGROUP "/memory.stat", "\nactive_file ", &active);
	uint64_t given_up = inactive + active;
	used = used > given_up ? used - given_up : 0;
	return limit > used ? (limit - used) / 1024 : 0;
}

uint64_t available_memory_kb(void)
{
	uint64_t box, group = left_in_group_kb();
	if (!number_in(SHOAL_MEMINFO, "\nMemAvailable:", &box))
		return group;
	return box < group ? box : group;
}

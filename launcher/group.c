/* What the control groups allow that this process is in, of version 1 or 2: the least of its own and those above it. In
 * a container only the container's own can be seen, as the root, whatever /proc calls it. */
#include "shoal.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SHOAL_CGROUP
#define SHOAL_CGROUP "/sys/fs/cgroup"
#endif
#ifndef SHOAL_OWN_GROUPS
#define SHOAL_OWN_GROUPS "/proc/self/cgroup"
#endif

enum { file_room = 32 }; /* for the name of a file in a group */

typedef uint64_t look(char *group, bool is_first_version);

/* The number that follows `key` in a file of the group. */
static bool number_of(char *group, const char *file, const char *key, uint64_t *number)
{
	size_t length = strlen(group);
	snprintf(group + length, file_room, "/%s", file);
	bool found = read_number(group, key, number);
	group[length] = '\0';
	return found;
}

static bool lists(const char *controllers, size_t length, const char *name)
{
	for (size_t at = 0; at < length; at += strcspn(controllers + at, ",:") + 1)
		if (strncmp(controllers + at, name, strlen(name)) == 0 && strchr(",:", controllers[at + strlen(name)]))
			return true;
	return false;
}

/* The path of this process's group from the root of the hierarchy that has the controller; its length, or -1. Lines are
 * NUMBER:CONTROLLERS:PATH, without controllers for version 2. */
static int own_group(const char *controller, const char **path, bool *is_first_version)
{
	static char text[4096];
	int length = -1;
	if (!*text && !read_text(SHOAL_OWN_GROUPS, text, sizeof text))
		return -1;
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *names = line + strcspn(line, ":\n") + 1;
		if (names[-1] != ':')
			continue;
		size_t names_length = strcspn(names, ":\n");
		bool is_listed = lists(names, names_length, controller);
		if (names[names_length] != ':' || (!is_listed && names_length > 0))
			continue;
		*path = names + names_length + 1;
		*is_first_version = is_listed;
		length = strcspn(*path, "\n");
		if (is_listed)
			break;
	}
	return length;
}

static uint64_t least_of(const char *controller, look *look)
{
	char group[PATH_MAX];
	const char *path;
	bool is_first_version;
	int length = own_group(controller, &path, &is_first_version);
	if (length < 0)
		return UINT64_MAX;
	int root = snprintf(group, sizeof group, is_first_version ? SHOAL_CGROUP "/%s" : SHOAL_CGROUP, controller);
	/* "/.." leads out of what can be seen here. */
	if (length > 1 && strncmp(path, "/..", 3) != 0 && root + length + file_room < (int)sizeof group)
		sprintf(group + root, "%.*s", length, path);
	uint64_t least = look(group, is_first_version);
	while (group[root]) {
		*strrchr(group, '/') = '\0';
		uint64_t here = look(group, is_first_version);
		least = here < least ? here : least;
	}
	return least;
}

static uint64_t look_at_cpu(char *group, bool is_first_version)
{
	uint64_t quota, period = 0;
	if (!number_of(group, is_first_version ? "cpu.cfs_quota_us" : "cpu.max", "", &quota) || (int64_t)quota <= 0)
		return UINT64_MAX; /* "max", or -1 */
	number_of(group, is_first_version ? "cpu.cfs_period_us" : "cpu.max", is_first_version ? "" : " ", &period);
	return period == 0 ? UINT64_MAX : (quota + period - 1) / period;
}

/* The files that a group has cached count as its use, and are given up when it needs more. */
static uint64_t look_at_memory(char *group, bool is_first_version)
{
	uint64_t limit, used, inactive = 0, active = 0;
	if (!number_of(group, is_first_version ? "memory.limit_in_bytes" : "memory.max", "", &limit) ||
	    limit >= INT64_MAX / 2) /* version 1 writes 2^63, in whole pages, for no limit */
		return UINT64_MAX;
	if (!number_of(group, is_first_version ? "memory.usage_in_bytes" : "memory.current", "", &used))
		return UINT64_MAX;
	number_of(group, "memory.stat", is_first_version ? "\ntotal_inactive_file " : "\ninactive_file ", &inactive);
	number_of(group, "memory.stat", is_first_version ? "\ntotal_active_file " : "\nactive_file ", &active);
	uint64_t given_up = inactive + active;
	used = used > given_up ? used - given_up : 0;
	return limit > used ? (limit - used) / 1024 : 0;
}

/* How many CPUs' time, a part of one counted as one. */
uint64_t cpus_of_group(void)
{
	return least_of("cpu", look_at_cpu);
}

uint64_t memory_left_in_group_kb(void)
{
	return least_of("memory", look_at_memory);
}

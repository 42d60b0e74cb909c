/* How much memory a compile that begins now could have. */
#include "shoal.h"

#ifndef SHOAL_MEMINFO
#define SHOAL_MEMINFO "/proc/meminfo"
#endif

uint64_t available_memory_kb(void)
{
	uint64_t box, group = memory_left_in_group_kb();
	if (!read_number(SHOAL_MEMINFO, "\nMemAvailable:", &box))
		return group;
	return box < group ? box : group;
}

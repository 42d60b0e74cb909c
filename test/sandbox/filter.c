/* Prints the filter of system calls, a step a line: code, jumps, constant. */
#include "../../launcher/init_seccomp.c"
#include <stdio.h>

int main(void)
{
	compile_filter();
	for (int i = 0; i < step_count; i++)
		printf("%u %u %u %u\n", steps[i].code, steps[i].jump_true, steps[i].jump_false, (unsigned)steps[i].k);
	return 0;
}

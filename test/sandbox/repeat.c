/* repeat N PROGRAM [ARG...]: runs it N times, one after the other, with nothing around it: what a job is measured against. */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	char *none[] = {NULL};
	if (argc < 3)
		return 64;
	for (long left = atol(argv[1]); left > 0; left--) {
		int status;
		pid_t child;
		if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, none) != 0)
			return 1;
		if (waitpid(child, &status, 0) != child || status != 0)
			return 1;
	}
	return 0;
}

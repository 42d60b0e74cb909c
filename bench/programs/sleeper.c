/*
 * A compiler that sleeps: under the name of one it waits for SLEEPER_MS and copies SLEEPER_OBJECT to what stands behind
 * -o. For distccd, whose hosts are then as slow as the stand-in farm, and cost as little.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *ms = getenv("SLEEPER_MS"), *object = getenv("SLEEPER_OBJECT"), *output = NULL;
	for (int at = 1; at + 1 < argc; at++)
		if (strcmp(argv[at], "-o") == 0)
			output = argv[at + 1];
	if (!ms || !object || !output)
		return 2;
	long pause = atol(ms);
	struct timespec rest = {pause / 1000, pause % 1000 * 1000000};
	while (nanosleep(&rest, &rest) != 0)
		;
	struct stat found;
	int from = open(object, O_RDONLY), to = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (from < 0 || to < 0 || fstat(from, &found) != 0)
		return 3;
	return sendfile(to, from, NULL, found.st_size) == found.st_size ? 0 : 4;
}

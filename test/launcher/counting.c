/* A compiler for the tests of the local gate. It says that it runs, by a file named for its process; notes how many do;
 * and ends after PAUSE_MS, or when the file named by UNTIL is there. As `inner` it closes every descriptor and calls gcc
 * from PATH, as a wrapper may; as `alarmed` it becomes the command that follows, with an alarm set. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int call_inner(void)
{
	pid_t child = fork();
	if (child == 0) {
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		execlp("gcc", "gcc", "-c", "inner.c", (char *)NULL);
		_exit(127);
	}
	int status;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int count_running(void)
{
	int count = 0;
	DIR *directory = opendir(".");
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += strncmp(entry->d_name, "run.", 4) == 0;
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "inner") == 0)
		return call_inner();
	if (argc > 2 && strcmp(argv[1], "alarmed") == 0) {
		alarm(1);
		return execvp(argv[2], argv + 2);
	}
	char running[64], count[16];
	snprintf(running, sizeof running, "run.%d", (int)getpid());
	close(open(running, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	int counts = open("counts", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int length = snprintf(count, sizeof count, "%d\n", count_running());
	if (write(counts, count, length) != length)
		return 1;
	const char *pause_ms = getenv("PAUSE_MS"), *until = getenv("UNTIL");
	usleep(pause_ms ? atoi(pause_ms) * 1000 : 0);
	while (until && access(until, F_OK) != 0)
		usleep(2000);
	unlink(running);
	return 0;
}

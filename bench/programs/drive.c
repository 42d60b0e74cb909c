/*
 * Runs many commands, so many at once, and notes how long each took from its start to its end, as whoever waits for it
 * sees it: drive JOBS COMMANDS TIMES
 *
 * COMMANDS has one command a line, words separated by single spaces. TIMES becomes one line each, in microseconds, in the
 * order of their ends. The first command that fails ends it, with that command's line on stderr.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { most_words = 256, most_jobs = 4096 };

struct job {
	pid_t pid;
	long started_us;
	char *line;
};

static long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void fail(const char *what, const char *which)
{
	fprintf(stderr, "drive: %s: %s\n", what, which);
	exit(1);
}

static struct job start(char *line)
{
	char *words[most_words + 1];
	int count = 0;
	struct job job = {0, now_us(), strdup(line)};
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		if (count == most_words)
			fail("too many words", job.line);
		words[count++] = word;
	}
	words[count] = NULL;
	if (posix_spawnp(&job.pid, words[0], NULL, NULL, words, environ) != 0)
		fail("cannot start", job.line);
	return job;
}

static void end_one(struct job *jobs, int running, FILE *times)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);
	for (int at = 0; at < running; at++) {
		if (jobs[at].pid != pid)
			continue;
		if (status != 0)
			fail("failed", jobs[at].line);
		fprintf(times, "%ld\n", now_us() - jobs[at].started_us);
		free(jobs[at].line);
		jobs[at] = jobs[running - 1];
		return;
	}
	fail("an unknown child", "");
}

int main(int argc, char **argv)
{
	if (argc != 4)
		fail("usage", "drive JOBS COMMANDS TIMES");
	int most = atoi(argv[1]);
	if (most < 1 || most > most_jobs)
		fail("not a number of jobs", argv[1]);
	FILE *commands = fopen(argv[2], "r");
	FILE *times = fopen(argv[3], "w");
	if (!commands || !times)
		fail("cannot open", argv[commands ? 3 : 2]);
	struct job *jobs = calloc(most, sizeof *jobs);
	char *line = NULL;
	size_t room = 0;
	int running = 0;
	while (getline(&line, &room, commands) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (running == most)
			end_one(jobs, running--, times);
		jobs[running++] = start(line);
	}
	while (running > 0)
		end_one(jobs, running--, times);
	return fclose(times) == 0 ? 0 : 1;
}

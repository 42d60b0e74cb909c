/* main: find the compiler, ask the daemon, do as it says or run the compiler. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the daemon's connection goes in a compiler run here: out of the way of descriptors that builds pass around. */
enum { connection_fd = 200 };

/* Becomes the real compiler. The connection stays open in it, so that the daemon sees when the last process of the
 * compile has ended, and nobody has to wait for it. */
static void run_here(const struct command *command, int connection)
{
	if (connection >= 0 && fcntl(connection, F_DUPFD, connection_fd) < 0)
		close(connection);
	/* A wrapper script that calls its own name gets the next compiler on PATH instead of itself for ever. */
	setenv("SHOAL_RUNNING", command->compiler, 1);
	execv(command->compiler, command->argv);
	fprintf(stderr, "shoal: %s: %s\n", command->compiler, strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void end_as(int wait_status)
{
	if (WIFEXITED(wait_status))
		_exit(WEXITSTATUS(wait_status));
	struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(wait_status), SIG_DFL);
	raise(WTERMSIG(wait_status));
	_exit(128 + WTERMSIG(wait_status));
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);
	return value && *value && strcmp(value, "0") != 0;
}

/* Strict mode is a promise that nothing falls back in silence; a daemon that is gone must not break it. */
static void refuse_if_strict(const struct command *command)
{
	if (!is_set("SHOAL_STRICT"))
		return;
	for (char **arg = command->argv; *arg; arg++) {
		if (strcmp(*arg, "-c") != 0)
			continue;
		fprintf(stderr, "shoal: strict: this compile would have run here: no-daemon\n");
		_exit(1);
	}
}

int main(int argc, char **argv)
{
	struct command command = {0};
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			command.closed |= 1 << fd;
	const char *slash = strrchr(argv[0], '/');
	bool as_shoal = strcmp(slash ? slash + 1 : argv[0], "shoal") == 0;
	if (as_shoal && (argc < 2 || argv[1][0] == '-' || is_subcommand(argv[1]))) {
		exec_command_line(argc, argv);
		return 127;
	}
	if (!find_command(argc, argv, &command)) {
		fprintf(stderr, "shoal: %s: no such compiler on PATH\n", as_shoal ? argv[1] : argv[0]);
		return 127;
	}
	if (is_set("SHOAL_DISABLE"))
		run_here(&command, -1);
	signal(SIGPIPE, SIG_IGN);
	int connection = connect_daemon();
	struct buffer answer = {0};
	enum answer kind = ANSWER_BROKEN;
	if (connection >= 0 && send_request(connection, &command))
		kind = read_answer(connection, &answer);
	int wait_status;
	if (kind == ANSWER_DONE && install_answer(&answer, &wait_status)) {
		signal(SIGPIPE, SIG_DFL);
		end_as(wait_status);
	}
	signal(SIGPIPE, SIG_DFL);
	if (kind != ANSWER_RUN_HERE)
		refuse_if_strict(&command);
	run_here(&command, kind == ANSWER_RUN_HERE ? connection : -1);
}

/* main: find the compiler, ask the daemon, do as it says or run the compiler, when there is a slot for it. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void end_as(int wait_status)
{
	if (WIFEXITED(wait_status))
		_exit(WEXITSTATUS(wait_status));
	int number = WTERMSIG(wait_status);
	prctl(PR_SET_DUMPABLE, 0); /* a core of this process would explain nothing; a limit of 0 does not stop a core_pattern pipe */
	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	signal(number, SIG_DFL);
	raise(number);
	_exit(128 + number);
}

/* What the compiler printed, and then its end. A reader that has gone ends us by SIGPIPE, as it would the compiler. */
static void print_and_end(const struct answer *answer)
{
	const struct buffer *out = &answer->text[0], *err = &answer->text[1];
	bool printed = write_all(1, out->bytes, out->used);
	int error = errno;
	write_all(2, err->bytes, err->used);
	if (!printed && answer->wait_status == 0) {
		fprintf(stderr, "shoal: standard output: %s\n", strerror(error));
		_exit(1);
	}
	end_as(answer->wait_status);
}

/* What follows a `distcc`: its own options, a compiler, or the words of one that is not named, which is cc. The word that
 * was `distcc` becomes that name then. */
static void strip_distcc(struct command *command)
{
	char **words = command->argv + 1;
	command->as_distcc = true;
	if (!*words || is_distcc_option(*words)) {
		command->argv[0] = "distcc";
		exec_command_line(command->argv);
		_exit(127);
	}
	if (**words == '-' || is_source_or_object(*words))
		command->argv[0] = "cc";
	else
		command->argv = words;
}

static bool is_our_name(const char *base)
{
	return strcmp(base, "shoal") == 0 || strcmp(base, "distcc") == 0;
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);
	return value && *value && strcmp(value, "0") != 0;
}

/* As src/client/session/settings.ts reads it; a share is for the build's end to judge. */
static bool is_strict(void)
{
	static const char *const off[] = {"", "0", "false", "off"};
	const char *strict = getenv("SHOAL_STRICT"), *fallback = getenv("DISTCC_FALLBACK");
	if (!strict)
		return fallback && strcmp(fallback, "0") == 0;
	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		if (strcmp(strict, off[i]) == 0)
			return false;
	return !strchr(strict, '%');
}

/* Strict mode is a promise that nothing falls back in silence; a daemon that is gone must not break it. */
static void refuse_if_strict(const struct command *command)
{
	if (!is_strict() || !is_likely_remote(command))
		return;
	fprintf(stderr, "shoal: strict: this compile would have run here: no-daemon\n");
	_exit(command->as_distcc ? distcc_no_hosts : 1);
}

/* Which of 0, 1 and 2 are closed. Until an exec something stands in for them that can be neither read nor written, or
 * else a file of ours would be opened as "stdout" and get what is printed. */
static int hold_closed_descriptors(void)
{
	int closed = 0;
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH | O_CLOEXEC) == fd)
			closed |= 1 << fd;
	return closed;
}

/* Tells the daemon when the wait is over, so that it times the compile alone; and that there is one, where it thought the
 * job done. */
static void wait_for_slot(const struct command *command, const struct answer *answer, int connection)
{
	if (!is_in_pipeline(command->argv))
		enter_gate(answer->need_kb);
	if (connection >= 0)
		send(connection, "S", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int main(int argc, char **argv)
{
	if (argc < 1)
		return 127;
	if (strcmp(argv[0], "shoal-untouched") == 0) {
		exec_untouched();
		return 127;
	}
	bool prefixed = false;
	struct command command = {.argv = argv, .closed = hold_closed_descriptors()};
	/* More than once for `shoal shoal gcc`: a compiler launcher within a compiler launcher. */
	for (const char *base; (base = base_of(command.argv[0])), is_our_name(base);) {
		if (strcmp(base, "distcc") == 0) {
			strip_distcc(&command);
			continue;
		}
		char **words = ++command.argv;
		prefixed = true;
		if (!*words || **words == '-' || is_subcommand(*words)) {
			exec_command_line(words);
			return 127;
		}
	}
	command.as_distcc = command.as_distcc || (!prefixed && is_called_as_distcc());
	if (!find_compiler(&command)) {
		fprintf(stderr, "shoal: %s: %sno such compiler on PATH\n", command.argv[0],
			prefixed ? "no subcommand (`shoal help` lists them), and " : "");
		if (!command.as_distcc)
			return 127;
		return finds_ourselves_alone(base_of(command.argv[0])) ? distcc_recursion : distcc_compiler_missing;
	}
	struct answer answer = {0};
	if (is_set("SHOAL_DISABLE"))
		run_here(&command, &answer, -1);
	int connection = connect_daemon();
	enum verdict verdict = VERDICT_BROKEN;
	if (connection >= 0 && send_request(connection, &command))
		verdict = receive_answer(connection, &command, &answer);
	if (verdict == VERDICT_DONE) {
		if (install_outputs(&answer))
			print_and_end(&answer);
		answer.takes_slot = true; /* the compiler writes them itself, or says why it cannot */
	} else if (verdict != VERDICT_RUN_HERE) {
		if (verdict == VERDICT_SILENT)
			note_stuck_daemon();
		refuse_if_strict(&command);
		if (is_likely_remote(&command))
			note_lone_compile();
		if (connection >= 0)
			close(connection); /* the daemon shall not think that somebody waits for its answer */
		connection = -1;
		answer.takes_slot = is_likely_compile(&command);
	}
	if (verdict == VERDICT_RUN_HERE)
		write_all(2, answer.text[1].bytes, answer.text[1].used); /* what became of it, for DISTCC_VERBOSE */
	if (answer.takes_slot)
		wait_for_slot(&command, &answer, connection);
	run_here(&command, &answer, connection);
}

/* The launcher: what runs once per compile, in place of the compiler, at the cost of /bin/true.
 *
 * It sends what it was asked to do to the client daemon and does what the daemon answers: write these outputs and exit
 * with this status, or run your own command yourself. It only ever runs its own argv with the compiler that it found
 * itself; no answer can choose a program. Whatever goes wrong, the real compiler runs, once.
 */
#ifndef SHOAL_H
#define SHOAL_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern char **environ;

struct command {
	const char *compiler; /* absolute or as the user spelled it, if that has a slash; links not followed */
	char **argv;          /* as the compiler shall see it */
	int closed;           /* bits 1, 2, 4: descriptors 0, 1, 2 were closed when we started */
};

struct buffer {
	unsigned char *bytes;
	size_t used, room;
};

/* find.c: which compiler is meant */
bool is_subcommand(const char *word);
bool find_command(int argc, char **argv, struct command *command);

/* daemon.c: the daemon's socket, started if need be */
int connect_daemon(void);
void exec_command_line(int argc, char **argv);

/* request.c: what the daemon is told */
bool send_request(int socket, const struct command *command);

/* answer.c: what it answers */
enum answer { ANSWER_BROKEN, ANSWER_RUN_HERE, ANSWER_DONE };
enum answer read_answer(int socket, struct buffer *answer);
bool install_answer(const struct buffer *answer, int *wait_status);

/* buffer.c */
bool append(struct buffer *buffer, const void *bytes, size_t size);
bool write_all(int fd, const void *bytes, size_t size);
int above_standard(int fd);

#endif

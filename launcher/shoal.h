/* The launcher: what runs once per compile, in place of the compiler, at the cost of /bin/true.
 *
 * It sends what it was asked to do to the client daemon and does what the daemon answers: write these outputs and exit
 * with this status, or run your own command yourself. It only ever runs its own argv with the compiler that it found
 * itself; no answer can choose a program. Whatever goes wrong, the real compiler runs, once; nothing has to be undone
 * for that, since what has been received so far is in memory or in files without a name.
 */
#ifndef SHOAL_H
#define SHOAL_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

extern char **environ;

struct command {
	char *compiler; /* as it is executed: absolute, or relative to the working directory; links not followed */
	char **argv;    /* as a compiler elsewhere shall see it: the first word is where it stands */
	char *name;     /* the first word that it would have had here without us */
	bool as_distcc; /* it was called as distcc: some statuses are distcc's */
	int closed;     /* bits 1, 2, 4: descriptors 0, 1, 2 were closed when we started */
};

struct buffer {
	unsigned char *bytes;
	size_t used, room;
};

struct output {
	char *path;
	bool in_place, removed;
	mode_t mode;         /* before the umask */
	uint64_t missing;    /* bytes still to come */
	int nameless;        /* a file without a name that takes the bytes, or -1 */
	struct buffer bytes; /* those that no file takes yet */
	bool lost;           /* there was no room for some of them */
};

struct answer {
	struct output *outputs;
	size_t count;
	struct buffer text[2]; /* for stdout and stderr */
	int wait_status;
	/* Of a command that is to run here: */
	bool not_a_compiler; /* it may be a wrapper that calls one */
	bool takes_slot;     /* it waits until one is free */
	uint32_t need_kb;    /* the memory that it is expected to take; 0 if unknown */
};

/* distcc's own statuses, of src/distcc/exit-codes.ts */
enum { distcc_compiler_missing = 110, distcc_recursion = 111, distcc_no_hosts = 116 };

/* find.c: which compiler is meant */
bool is_subcommand(const char *word);
bool is_source_or_object(const char *word);
bool is_distcc_option(const char *word);
bool is_called_as_distcc(void);
const char *base_of(const char *path);
bool is_self(const struct stat *file);
bool is_program(const char *path, struct stat *file);
size_t spell_candidate(char *candidate, const char *path, const char *name);
bool finds_ourselves_alone(const char *name);
bool find_compiler(struct command *command);

/* run.c: the compiler run here */
_Noreturn void become_compiler(struct command *command, bool calls_one);
_Noreturn void run_here(struct command *command, const struct answer *answer, int connection);

/* untouched.c: a build whose words Node cannot hand on */
void exec_untouched(void);

/* judge.c, gate.c: whether it waits, and until when */
bool is_in_pipeline(char **argv);
bool is_likely_compile(const struct command *command);
bool is_likely_remote(const struct command *command);
void enter_gate(uint32_t need_kb);
void leave_gate(void);

/* memory.c, group.c, process.c: what else is going on here */
uint64_t available_memory_kb(void);
uint64_t memory_left_in_group_kb(void);
uint64_t cpus_of_group(void);
enum { most_ancestors = 64 };
bool read_text(const char *path, char *text, size_t room);
bool read_number(const char *path, const char *key, uint64_t *number);
bool look_at_process(pid_t pid, char *state, pid_t *parent);
char state_of(pid_t pid);

/* daemon.c: the daemon's socket, started if need be */
bool runtime_directory(char *path);
int connect_daemon(void);
void note_stuck_daemon(void);
void note_lone_compile(void);
void exec_command_line(char **args);

/* request.c: what the daemon is told */
bool send_request(int socket, const struct command *command);
bool send_all(int socket, const unsigned char *bytes, size_t size);

/* preprocess.c: what a host needs that does not do it itself */
bool preprocess(int socket, struct command *command);

/* answer.c: what it answers */
enum verdict { VERDICT_BROKEN, VERDICT_SILENT, VERDICT_RUN_HERE, VERDICT_DONE };
enum verdict receive_answer(int socket, struct command *command, struct answer *answer);

/* outputs.c: the files that the answer brings */
void begin_output(struct output *output);
void add_to_output(struct output *output, const void *bytes, size_t size);
bool install_outputs(struct answer *answer);

/* buffer.c */
bool append(struct buffer *buffer, const void *bytes, size_t size);
bool write_all(int fd, const void *bytes, size_t size);
void put32(unsigned char *at, uint32_t value);
void put64(unsigned char *at, uint64_t value);
uint32_t get32(const unsigned char *at);
uint64_t get64(const unsigned char *at);

#endif

/* The sandbox's init: one process per slot of a worker, which runs one job at a time.
 *
 * It makes the outer namespaces once, and for every job a leader with a fresh one of each kind below them: the job's root
 * is a tmpfs overlay over the input tree and the toolchain, and when the leader ends the kernel takes
 * everything away. Nothing is carried from one job to the next, so nothing has to be cleaned.
 *
 *   worker ──socket── keeper ──clone── init (outer namespaces) ──clone── leader (pid 1 of the job) ──vfork── compiler
 *
 * Each ends with the one before it. The frames on the socket are described in src/worker/sandbox/codec.ts.
 */
#ifndef SHOAL_INIT_H
#define SHOAL_INIT_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { most_words = 65536 }; /* of argv, of the environment, of paths */
enum { most_host_paths = 32 };

struct text_list {
	char **items; /* NULL-terminated */
	size_t count, room;
};

struct addition {
	const char *path;
	const unsigned char *content;
	size_t size;
	bool executable, has_mtime;
	int64_t mtime_ns;
};

/* A symbolic link; or a directory and the lower one that has all of it. */
struct link {
	const char *path, *target;
};

struct job {
	bool within;
	const char *mount_at, *cwd, *program;
	struct text_list lower, host, argv, env, directories, deletions, outputs;
	struct addition *additions;
	size_t addition_count, addition_room;
	struct link *links, *binds;
	size_t link_count, link_room, bind_count, bind_room;
	unsigned terminal_bits, columns, rows;
	uint64_t wall_ms, cpu_seconds, memory_bytes, processes, output_bytes, disk_bytes;
};

/* A path of the box that plain actions may see, as it was when the slot began. */
struct host_path {
	const char *path; /* relative to / */
	char *link;       /* a symbolic link's target, or NULL */
	bool is_directory;
	int tree; /* a detached copy of it, which is attached at /h/<index>; -1: there is none */
};

struct slot {
	const char *state;
	uid_t uid;
	gid_t gid;
	bool is_bare; /* without namespaces */
	int state_tree;
	struct host_path hosts[most_host_paths];
	int host_count;
};

/* init_frames.c */
bool read_exactly(int fd, void *bytes, size_t size);
bool parse_job(unsigned char *bytes, size_t size, struct job *job);
/* Begins a frame whose `size` bytes the next calls bring. */
void begin_reply(char tag, size_t size);
void add_to_reply(const void *bytes, size_t size);
void add_file_to_reply(int fd, size_t size);
void flush_replies(void);
void reply(char tag, const void *bytes, size_t size);
void reply_trouble(const char *what);
/* Says which step failed, and with what, and ends this process. */
_Noreturn void fail(const char *step, const char *subject);

/* init_box.c: the slot's own root */
void open_trees(struct slot *slot);
void enter_box(const struct slot *slot);
/* What no exec may give back. A new user namespace forgets it. */
void close_doors(void);

void set_slot_limits(void);

/* init_root.c: the job's root */
void enter_job_root(const struct job *job, const struct slot *slot);
/* The job's own part of it, in the current directory. */
void write_bare_difference(const struct job *job);

/* init_bare.c: the same without namespaces */
void enter_bare_root(const struct job *job, const struct slot *slot);
void kill_user(const struct slot *slot);
/* Ends what the slot's user still runs, and removes what it left. */
void clean_bare(const struct slot *slot);

/* init_run.c: the leader, around the compiler */
_Noreturn void lead(const struct job *job, const struct slot *slot, int abort_fd);

/* init_program.c: the compiler, until it is one */
struct streams {
	int in, out, err;
};
int start_program(const struct job *job, const struct slot *slot, struct streams streams);

/* init_outputs.c */
void reply_outputs(const struct job *job);

/* init_front.c: not a slot at all, but the process of the worker that parses requests */
int run_front(int count, char **words);

/* init_seccomp.c */
void compile_filter(void);
bool install_filter(void);

#endif

/* The sandbox's init: one process per slot of a worker, which runs one job at a time.
 *
 * It makes the outer namespaces once, and for every job a leader with fresh mount, pid and IPC namespaces of its own: the
 * job's root is a tmpfs overlay over the input tree and the toolchain, and when the leader ends the kernel takes
 * everything away. Nothing is carried from one job to the next, so nothing has to be cleaned.
 *
 *   worker ──pipe── init (outer namespaces) ──clone── leader (pid 1 of the job) ──fork── compiler
 *
 * The frames on the pipes are described in src/worker/sandbox-codec.ts.
 */
#ifndef SHOAL_INIT_H
#define SHOAL_INIT_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { most_words = 65536 }; /* of argv, of the environment, of paths */

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

struct link {
	const char *path, *target;
};

struct job {
	bool within;
	const char *mount_at, *cwd, *program;
	struct text_list lower, host, argv, env, directories, deletions, outputs;
	struct addition *additions;
	size_t addition_count, addition_room;
	struct link *links;
	size_t link_count, link_room;
	unsigned terminal_bits, columns, rows;
	uint64_t wall_ms, cpu_seconds, memory_bytes, processes, output_bytes, disk_bytes;
};

/* init_frames.c */
bool read_exactly(int fd, void *bytes, size_t size);
bool parse_job(unsigned char *bytes, size_t size, struct job *job);
void reply(char tag, const void *head, size_t head_size, const void *body, size_t body_size);
void reply_trouble(const char *what);
/* Says which step failed and ends this process. */
_Noreturn void fail(const char *step);

/* init_root.c: the leader's mounts */
void enter_job_root(const struct job *job);
bool make_directories(const char *path, bool and_last);

/* init_run.c: the compiler under the leader */
void run_job(const struct job *job, int pty_master, int pty_slave);

/* init_outputs.c */
void reply_outputs(const struct job *job);

/* init_seccomp.c */
bool install_filter(void);

#endif

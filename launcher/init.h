/* The sandbox's init: one static program for each slot of a worker, started by the worker with a socket or pipes as its
 * standard streams. It makes a box once (user, mount, pid, net, ipc, uts and cgroup namespaces with next to nothing in
 * them) and in it, for every job, fresh mount, pid and ipc namespaces with a fresh root. What a job leaves vanishes with
 * its namespaces: nothing is ever cleaned.
 *
 *   keeper   the worker's child; drops root, makes the outer namespaces, waits        init.c, init_outer.c
 *   outer    pid 1 of the slot: reads jobs from stdin, relays an abort                init_outer.c
 *   leader   pid 1 of one job: builds the root, runs, reads back, answers on stdout   init_leader.c, init_root.c, ...
 *   the job  without capabilities, under limits and a filter of system calls          init_program.c
 *
 * Each dies with the one above it. Frames, little-endian, are u8 tag, u32 n, n bytes (n <= max_frame) both ways:
 *   to the init:  'J' u32 id, records    run this job; the records are frames again, see init_frame.c
 *                 'A' u32 id             end job id now
 *   from it:      'R' ready | 'F' u32 errno, step NUL, subject NUL (could not start)                  once
 *                 '1' stdout, '2' stderr, 'O' an output begins, 'D' its bytes; then 'X' or 'F'        for every job
 *   'O': u32 index into the job's outputs, u8 kind ('f' file, 'x' executable file, 'l' symbolic link, 'd' directory),
 *        path below the output NUL (empty for the output itself); 'D' follows for the bytes of a file or a link's target.
 *   'X': u32 wait status, u32 trouble bits, u64 user us, u64 system us, u64 max rss KiB, u64 wall us.
 */
#ifndef SHOAL_INIT_H
#define SHOAL_INIT_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { max_frame = 256 << 20, max_record_frame = 256 << 10, max_host_paths = 32 };

enum trouble {
	TROUBLE_DEADLINE = 1,
	TROUBLE_OUTPUT_LIMIT = 2,
	TROUBLE_DISK_FULL = 4,
	TROUBLE_STRANGE_OUTPUT = 8,
};

struct record {
	unsigned char tag;
	uint32_t size;
	const unsigned char *bytes;
};

struct cursor {
	const unsigned char *at, *end;
};

struct limits {
	uint64_t wall_ms, cpu_seconds, memory_bytes, processes, output_bytes, disk_bytes, stack_bytes;
};

struct terminal {
	unsigned char bits;
	uint16_t columns, rows;
};

/* A job whose records have been checked: every text in them ends with its only NUL, every path is what it claims. */
struct job {
	struct cursor records;
	bool within;           /* the input root is at mount_at, not at / */
	const char *mount_at;  /* within: absolute, else "" */
	const char *program;   /* NULL: argv[0], looked up along env's PATH */
	const char *directory; /* absolute, in the job's root */
	char **argv, **env;
	struct limits limits;
	struct terminal terminal;
};

/* A part of the host's file system that jobs may see: what it was when the slot began. */
struct host_path {
	const char *path;
	char link[256]; /* a symbolic link's target, else "" */
	bool is_directory;
	int tree; /* descriptor of a detached copy, until it is attached at /h/<index> */
};

struct settings {
	long uid, gid; /* what root becomes; ignored otherwise */
	const char *state;
	struct host_path hosts[max_host_paths];
	int host_count;
};

struct buffer {
	unsigned char *bytes;
	size_t used, room;
};

/* init_frame.c: bytes to jobs, answers to bytes */
bool next_record(struct cursor *cursor, struct record *record);
bool next_tagged(struct cursor *cursor, unsigned char tag, struct record *record);
const char *parse_job(struct cursor records, struct job *job);
bool is_plain_path(const char *path);
bool reserve(struct buffer *buffer, size_t room);
void put_bytes(unsigned char tag, const void *bytes, size_t size);
void put_output(uint32_t index, char kind, const char *path);
void put_file(int fd, uint64_t size);
void put_end(const void *body, size_t size);
_Noreturn void fail(const char *step, const char *subject);

/* init_outer.c: the slot */
_Noreturn void run_slot(struct settings *settings);

/* init_box.c: the slot's own root */
int detached_tree(const char *path);
void enter_box(struct settings *settings);

/* init_leader.c: one job */
_Noreturn void run_job(struct cursor records, const struct settings *settings, int abort_fd);

/* init_root.c: its root */
void build_root(const struct job *job, const struct settings *settings);

/* init_program.c: its first process */
struct streams {
	int in, out, err; /* what the program gets */
};
long start_program(const struct job *job, struct streams streams);

/* init_filter.c: the system calls it may make */
void compile_filter(void);
bool install_filter(void);

/* init_outputs.c: what it left. Returns trouble bits. */
unsigned read_outputs(const struct job *job);

#endif

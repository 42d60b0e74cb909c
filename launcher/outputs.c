/* The outputs of a compile, from their first byte to their names. A file that replaces another is written without a
 * name (O_TMPFILE) and gets one when it is complete: a launcher killed at any moment leaves nothing behind, and of two
 * compiles of one target the later wins, whole. Where something stands in the way it is unlinked first, as the assembler
 * does.
 *
 * File systems without such files (NFS, FUSE, overlayfs before Linux 6.1) get the bytes at the end, out of memory, under
 * the name TARGET.shoal~, then a rename. Only a launcher killed within that write leaves one; whoever finds one, of a
 * dead or of a living launcher, removes it and lets the real compiler run: the living one then finds its file gone, and
 * does so too. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two compiles of one target can take turns in unlinking; more than a few turns are no accident. */
enum { most_turns = 16 };

static int open_nameless(const struct output *output)
{
#ifdef SHOAL_NO_TMPFILE
	(void)output;
	return -1;
#else
	char directory[PATH_MAX];
	memcpy(directory, output->path, strlen(output->path) + 1); /* shorter than PATH_MAX: checked by who took it */
	char *slash = strrchr(directory, '/');
	slash[slash == directory] = '\0';
	return open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, output->mode);
#endif
}

void begin_output(struct output *output)
{
	output->nameless = output->in_place || output->removed ? -1 : open_nameless(output);
}

/* Where there is no room for them the answer is read to its end all the same: it is the daemon's, and whole. */
void add_to_output(struct output *output, const void *bytes, size_t size)
{
	if (output->lost)
		return;
	bool added = output->nameless >= 0 ? write_all(output->nameless, bytes, size) : append(&output->bytes, bytes, size);
	output->lost = !added;
}

/* Network file systems report a full disk or quota only when a descriptor of the file is closed. */
static bool is_flushed(int fd)
{
	int copy = dup(fd);
	return copy >= 0 && close(copy) == 0;
}

/* Nothing but a file or a link to one is ever replaced: a device must survive a compile by root. */
static bool may_replace(const char *path)
{
	struct stat old;
	if (lstat(path, &old) != 0)
		return errno == ENOENT;
	return S_ISREG(old.st_mode) || S_ISLNK(old.st_mode);
}

static bool name_file(const struct output *output)
{
	char nameless[32];
	snprintf(nameless, sizeof nameless, "/proc/self/fd/%d", output->nameless);
	if (!is_flushed(output->nameless))
		return false;
	for (int turn = 0; turn < most_turns; turn++) {
		if (linkat(AT_FDCWD, nameless, AT_FDCWD, output->path, AT_SYMLINK_FOLLOW) == 0)
			return true;
		if (errno != EEXIST || !may_replace(output->path))
			return false;
		if (unlink(output->path) != 0 && errno != ENOENT)
			return false;
	}
	return false;
}

static bool write_and_close(int fd, const struct buffer *bytes)
{
	bool written = write_all(fd, bytes->bytes, bytes->used);
	return close(fd) == 0 && written;
}

static bool write_beside(const struct output *output)
{
	char temporary[PATH_MAX + 8];
	snprintf(temporary, sizeof temporary, "%s.shoal~", output->path);
	if (!may_replace(output->path))
		return false;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, output->mode);
	if (fd < 0) {
		if (errno == EEXIST)
			unlink(temporary);
		return false;
	}
	if (write_and_close(fd, &output->bytes) && rename(temporary, output->path) == 0)
		return true;
	unlink(temporary);
	return false;
}

static bool write_in_place(const struct output *output)
{
	int fd = open(output->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, output->mode);
	return fd >= 0 && write_and_close(fd, &output->bytes);
}

/* What a compiler takes away when it fails: the old file of the same name. */
static bool take_away(const struct output *output)
{
	return may_replace(output->path) && (unlink(output->path) == 0 || errno == ENOENT);
}

/* Writes all outputs. False if one could not be written: the compiler then runs here and writes them itself, or says why
 * it cannot. What asks a build to end waits for the microseconds that this takes. */
bool install_outputs(struct answer *answer)
{
	sigset_t ending, before;
	sigemptyset(&ending);
	sigaddset(&ending, SIGHUP);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigprocmask(SIG_BLOCK, &ending, &before);
	bool done = true;
	for (size_t i = 0; done && i < answer->count; i++) {
		const struct output *output = &answer->outputs[i];
		if (output->lost)
			done = false;
		else if (output->removed)
			done = take_away(output);
		else if (output->in_place)
			done = write_in_place(output);
		else
			done = output->nameless >= 0 ? name_file(output) : write_beside(output);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return done;
}

/* The way to the client daemon: its socket in a directory that is ours alone, and its start, once, under a lock. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A daemon listens some 120 ms after its start; a loaded box may take longer, a build should not wait for ever. */
enum { start_patience_ms = 3000, start_pause_ms = 5 };
/* After a start that failed, compiles go on without a daemon and do not try again for this long. */
enum { failed_start_rest_s = 30 };

static bool is_own_directory(const char *path)
{
	struct stat found;
	return lstat(path, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == getuid() && !(found.st_mode & 077);
}

/* From the uid alone, never from the environment; src/trust/runtime-dir.ts computes the same. */
static bool runtime_directory(char path[static PATH_MAX])
{
#ifdef SHOAL_RUNTIME_DIR
	snprintf(path, PATH_MAX, "%s", SHOAL_RUNTIME_DIR);
#else
	struct stat login;
	snprintf(path, PATH_MAX, "/run/user/%u", (unsigned)getuid());
	if (lstat(path, &login) == 0 && S_ISDIR(login.st_mode) && login.st_uid == getuid())
		strcat(path, "/shoal");
	else
		snprintf(path, PATH_MAX, "/tmp/shoal-%u", (unsigned)getuid());
#endif
	mkdir(path, 0700);
	return is_own_directory(path);
}

static int connect_to(const char *directory)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat found;
	int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/daemon.sock", directory);
	if (size >= (int)sizeof address.sun_path || lstat(address.sun_path, &found) != 0)
		return -1;
	if (!S_ISSOCK(found.st_mode) || found.st_uid != getuid())
		return -1;
	int fd = above_standard(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

struct install {
	char text[2 * PATH_MAX];
	const char *node, *script;
};

/* Where this launcher was installed: the sidecar beside it holds the node to run and shoal's script, NUL after each. It
 * is believed only if nobody else could have written it. */
static bool read_install(struct install *install)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "shoal.install");
	if (length <= 0)
		return false;
	path[length] = '\0';
	strcpy(strrchr(path, '/') + 1, "shoal.install");
	int fd = above_standard(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
	struct stat found;
	if (fd < 0)
		return false;
	length = fstat(fd, &found) == 0 ? read(fd, install->text, sizeof install->text - 1) : -1;
	close(fd);
	if (length <= 0 || (found.st_uid != 0 && found.st_uid != getuid()) || (found.st_mode & 022))
		return false;
	install->text[length] = '\0';
	install->node = install->text;
	install->script = install->node + strlen(install->node) + 1;
	return install->script < install->text + length && install->node[0] == '/' && install->script[0] == '/';
}

/* In the grandchild: nothing of the build may stay open in the daemon, or whoever reads the build's pipes to their end
 * (ninja does) would wait for the daemon to die. */
static void become_daemon(const struct install *install)
{
	setsid();
	if (chdir("/") != 0)
		_exit(1);
	for (int fd = sysconf(_SC_OPEN_MAX) < 4096 ? (int)sysconf(_SC_OPEN_MAX) : 4096; fd >= 0; fd--)
		close(fd);
	if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		_exit(1);
	unsetenv("NODE_EXTRA_CA_CERTS"); /* Node 20 reads that file at every start: 30 ms */
	umask(077);
	execl(install->node, install->node, install->script, "daemon", (char *)NULL);
	_exit(127);
}

static bool start_daemon(const struct install *install)
{
	pid_t child = fork();
	if (child < 0)
		return false;
	if (child == 0) {
		if (fork() == 0)
			become_daemon(install);
		_exit(0);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
	return true;
}

static bool failed_lately(const char *stamp)
{
	struct stat found;
	return lstat(stamp, &found) == 0 && time(NULL) - found.st_mtime < failed_start_rest_s;
}

static int start_and_connect(const char *directory)
{
	char path[PATH_MAX + 16];
	struct install install;
	snprintf(path, sizeof path, "%s/start.failed", directory);
	if (failed_lately(path) || !read_install(&install) || !start_daemon(&install))
		return -1;
	struct timespec pause = {.tv_nsec = start_pause_ms * 1000000L};
	for (int waited = 0; waited < start_patience_ms; waited += start_pause_ms) {
		nanosleep(&pause, NULL);
		int fd = connect_to(directory);
		if (fd >= 0) {
			unlink(path);
			return fd;
		}
	}
	unlink(path);
	close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	return -1;
}

/* A connection to the daemon, or -1. Of launchers that find none, one starts it and the others wait for that. */
int connect_daemon(void)
{
	char directory[PATH_MAX], lock_path[PATH_MAX + 16];
	if (!runtime_directory(directory))
		return -1;
	int fd = connect_to(directory);
	if (fd >= 0)
		return fd;
	snprintf(lock_path, sizeof lock_path, "%s/start.lock", directory);
	int lock = above_standard(open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (lock < 0 || flock(lock, LOCK_EX) != 0)
		return -1;
	fd = connect_to(directory);
	if (fd < 0)
		fd = start_and_connect(directory);
	unlink(lock_path);
	close(lock);
	return fd;
}

/* `shoal make` and the like: becomes node on shoal's script. Returns only if that cannot be. */
void exec_command_line(int argc, char **argv)
{
	struct install install;
	char **words = calloc(argc + 2, sizeof *words);
	if (!words || !read_install(&install)) {
		fprintf(stderr, "shoal: this launcher is not installed: no trustworthy shoal.install beside it; run `npm run build`\n");
		return;
	}
	words[0] = (char *)install.node;
	words[1] = (char *)install.script;
	for (int i = 1; i < argc; i++)
		words[i + 1] = argv[i];
	unsetenv("NODE_EXTRA_CA_CERTS");
	execv(install.node, words);
	fprintf(stderr, "shoal: %s: %s\n", install.node, strerror(errno));
}

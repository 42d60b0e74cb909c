/* The way to the client daemon: its socket in a directory that is ours alone, and its start, once, under a lock. */
#include "shoal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* of Linux 5.9; musl 1.2.3 does not name it */
#endif

/* A daemon listens some 120 ms after its start; a loaded box may take longer, a build should not wait for ever. */
enum { start_patience_ms = 3000, start_pause_ms = 5 };
/* A daemon that takes no request for that long is stuck, or that says nothing: it says every 2 s that it lives. */
enum { stuck_s = 5, silence_s = 10 };
/* After a start that failed, or by a daemon that is stuck, compiles go on without one and do not try again for this long. */
enum { rest_s = 30 };

static bool is_own_directory(const char *path)
{
	struct stat found;
	return lstat(path, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == getuid() && !(found.st_mode & 077);
}

/* From the uid alone, never from the environment; src/trust/runtime-dir.ts computes the same. The path has room for
 * PATH_MAX. */
bool runtime_directory(char *path)
{
#ifdef SHOAL_RUNTIME_DIR
	snprintf(path, PATH_MAX, "%s", SHOAL_RUNTIME_DIR);
#else
	struct stat login;
	snprintf(path, PATH_MAX, "/run/user/%u", (unsigned)getuid());
	if (lstat(path, &login) == 0 && S_ISDIR(login.st_mode) && login.st_uid == getuid() && !(login.st_mode & 022))
		strcat(path, "/shoal");
	else
		snprintf(path, PATH_MAX, "/tmp/shoal-%u", (unsigned)getuid());
#endif
	struct stat found;
	if (lstat(path, &found) != 0)
		mkdir(path, 0700);
	return is_own_directory(path);
}

/* The directory was looked at before; this is the kernel's word on who listens at the other end. */
static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == getuid();
}

static bool set_patience(int fd, int option, int seconds)
{
	struct timeval patience = {.tv_sec = seconds};
	return setsockopt(fd, SOL_SOCKET, option, &patience, sizeof patience) == 0;
}

/* No daemon is there, so that one may be started; or one is there that cannot be used, for a while or at all, and starting
 * another would not help. */
enum { absent = -1, unusable = -2, stuck = -3 };

static int connect_to(const char *directory)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat found;
	int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/daemon.sock", directory);
	if (size >= (int)sizeof address.sun_path)
		return unusable;
	if (lstat(address.sun_path, &found) != 0)
		return absent;
	if (!S_ISSOCK(found.st_mode) || found.st_uid != getuid())
		return unusable;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return unusable;
	/* The first also bounds a connect to a daemon whose queue of connections is full. */
	if (set_patience(fd, SO_SNDTIMEO, stuck_s) && set_patience(fd, SO_RCVTIMEO, silence_s) &&
	    connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		if (is_ours(fd))
			return fd;
		close(fd);
		return unusable;
	}
	int error = errno;
	close(fd);
	if (error == EAGAIN)
		return stuck;
	return error == ECONNREFUSED || error == ENOENT ? absent : unusable;
}

struct install {
	char text[2 * PATH_MAX];
	const char *node, *script;
};

/* Where this launcher was installed: the sidecar beside it holds the node to run and shoal's script, NUL after each. It
 * is believed only if nobody else could have written it who could not have written the launcher. */
static bool read_install(struct install *install)
{
	char path[PATH_MAX];
	struct stat self, found;
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "shoal.install");
	if (length <= 0 || stat("/proc/self/exe", &self) != 0)
		return false;
	path[length] = '\0';
	strcpy(strrchr(path, '/') + 1, "shoal.install");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	length = fstat(fd, &found) == 0 ? read(fd, install->text, sizeof install->text - 1) : -1;
	close(fd);
	if (length <= 0 || !S_ISREG(found.st_mode) || (found.st_mode & 022))
		return false;
	if (found.st_uid != 0 && found.st_uid != getuid() && found.st_uid != self.st_uid)
		return false;
	install->text[length] = '\0';
	install->node = install->text;
	install->script = install->node + strlen(install->node) + 1;
	return install->script < install->text + length && install->node[0] == '/' && install->script[0] == '/';
}

static void close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	struct rlimit limit; /* before Linux 5.9 */
	int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536;
	for (int fd = first; fd < end; fd++)
		close(fd);
}

/* As the command line starts it: attach.ts and allocator.ts say why. */
#define DAEMON_HEAP "--initial-heap-size=64"

/* Each of these belongs to the build and would harm the daemon: Node 20 reads the certificates at every start (30 ms),
 * options and preloaded libraries are meant for the build's own programs (fakeroot's would show another uid), and what
 * this compile asks of the farm is not what the next one asks. */
static const char *const not_for_the_daemon[] = {
	"NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "LD_PRELOAD", "SHOAL_RUNNING", "SHOAL_SESSION", "SHOAL_HOSTS",
	"SHOAL_STRICT", "DISTCC_DIR", "DISTCC_FALLBACK", "DISTCC_HOSTS", "SHOAL_VERIFY", "SHOAL_RESULT_CACHE",
	"DISTCC_SSH", "DISTCC_PRINCIPAL", "DISTCC_BACKOFF_PERIOD", "KRB5CCNAME", "KRB5_CONFIG", /* as settings.ts has them */
};

/* In the grandchild: nothing of the build may stay open in the daemon, or whoever reads the build's pipes to their end
 * (ninja does) would wait for the daemon to die. */
static void become_daemon(const struct install *install)
{
	setsid();
	if (chdir("/") != 0)
		_exit(1);
	close_from(0);
	if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		_exit(1);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* make and nohup may have set some to be ignored */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof not_for_the_daemon / sizeof *not_for_the_daemon; i++)
		unsetenv(not_for_the_daemon[i]);
	setenv("MALLOC_ARENA_MAX", "1", 1);
	setenv("MALLOC_TRIM_THRESHOLD_", "65536", 1);
	umask(077);
	execl(install->node, install->node, DAEMON_HEAP, install->script, "daemon", (char *)NULL);
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
	return lstat(stamp, &found) == 0 && llabs((long long)(time(NULL) - found.st_mtime)) < rest_s;
}

static void note_failure(const char *stamp)
{
	unlink(stamp);
	int fd = open(stamp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

/* Of launchers that find no daemon, the one that gets the lock starts it; all look for the socket until it is there. */
static int start_and_connect(const char *directory)
{
	char stamp[PATH_MAX + 16], lock_path[PATH_MAX + 16];
	struct install install;
	snprintf(stamp, sizeof stamp, "%s/start.failed", directory);
	snprintf(lock_path, sizeof lock_path, "%s/start.lock", directory);
	if (failed_lately(stamp) || !read_install(&install))
		return -1;
	int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return -1;
	const struct timespec pause = {.tv_nsec = start_pause_ms * 1000000L};
	bool starter = false;
	int fd = absent;
	for (int waited = 0; fd == absent && waited < start_patience_ms; waited += start_pause_ms) {
		if (!starter && flock(lock, LOCK_EX | LOCK_NB) == 0) {
			/* The one before may have had it for long: look again at what it left. */
			fd = connect_to(directory);
			if (fd != absent || failed_lately(stamp))
				break;
			starter = true;
			if (!start_daemon(&install))
				break;
		}
		nanosleep(&pause, NULL);
		fd = connect_to(directory);
	}
	if (starter) {
		if (fd >= 0)
			unlink(stamp);
		else
			note_failure(stamp);
		unlink(lock_path);
	}
	close(lock);
	return fd;
}

/* The stamp that a launcher leaves which found the daemon stuck; a daemon that lives takes it away. */
static bool stuck_stamp(char *stamp)
{
	bool usable = runtime_directory(stamp);
	strcat(stamp, "/daemon.stuck");
	return usable;
}

void note_stuck_daemon(void)
{
	char stamp[PATH_MAX + 16];
	if (stuck_stamp(stamp))
		note_failure(stamp);
}

/* For the build's summary: a byte for each compile that no daemon could count. The build has made the file. */
void note_lone_compile(void)
{
	const char *session = getenv("SHOAL_SESSION");
	char directory[PATH_MAX], path[PATH_MAX + 32];
	if (!session || strlen(session) > 16 || strchr(session, '/') || !runtime_directory(directory))
		return;
	snprintf(path, sizeof path, "%s/lone.%s", directory, session);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	write_all(fd, ".", 1);
	close(fd);
}

/* A connection to the daemon, or a negative number. */
int connect_daemon(void)
{
	char directory[PATH_MAX], stamp[PATH_MAX + 16];
	if (!runtime_directory(directory) || (stuck_stamp(stamp) && failed_lately(stamp)))
		return -1;
	int fd = connect_to(directory);
	if (fd == stuck)
		note_stuck_daemon();
	return fd == absent ? start_and_connect(directory) : fd;
}

/* `shoal make` and the like: becomes node on shoal's script. Returns only if that cannot be. */
void exec_command_line(char **args)
{
	struct install install;
	size_t count = 0;
	while (args[count])
		count++;
	char **words = calloc(count + 3, sizeof *words);
	if (!words || !read_install(&install)) {
		fprintf(stderr, "shoal: this launcher is not installed: no trustworthy shoal.install beside it; run `npm run build`\n");
		return;
	}
	words[0] = (char *)install.node;
	words[1] = (char *)install.script;
	memcpy(words + 2, args, count * sizeof *words);
	unsetenv("NODE_EXTRA_CA_CERTS");
	execv(install.node, words);
	fprintf(stderr, "shoal: %s: %s\n", install.node, strerror(errno));
}

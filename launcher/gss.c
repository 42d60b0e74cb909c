/* The helper that alone has to do with the GSS-API: it holds the key, and parses peers' tokens, each exchange in a process
 * of its own, so that what a token breaks is that exchange.
 *
 *   shoal-gss accept SOCKET PRINCIPAL     says who clients are; the key is in KRB5_KTNAME, or the system's keytab
 *   shoal-gss initiate SOCKET             says who this user is; the ticket is in KRB5CCNAME, as kinit left it
 *
 * Prints "ready", or why not. Then each connection to SOCKET is one exchange, in frames of a length (u32, little-endian),
 * a letter and so many bytes: `N` SERVICE@HOST (first, for initiate), `T` a token. The helper answers each with `T` a
 * token; or `D`, which ends the exchange: u32 length of a last token, the token, the peer's name, NUL, the
 * acceptor's own; or `E` what is wrong.
 * It ends with its parent, and initiate when nobody has asked it anything for a minute. */
#include "gss.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { most_frame = 64 << 10, most_rounds = 8, exchange_seconds = 20, idle_ms = 60000, most_at_once = 64 };
enum { most_memory = 256 << 20 };

static const char *socket_path;
static int is_acceptor;

static _Noreturn void refuse(const char *why)
{
	printf("error %s\n", why);
	fflush(stdout);
	exit(1);
}

static int read_all(int fd, void *into, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = read(fd, (char *)into + done, size - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return -1;
		done += count;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = send(fd, (const char *)from + done, size - done, MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return -1;
		done += count;
	}
	return 0;
}

static void put_number(unsigned char *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = number >> 8 * i;
}

static uint32_t number_at(const unsigned char *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static int say(int fd, char kind, const void *value, size_t length)
{
	unsigned char head[5];
	put_number(head, length + 1);
	head[4] = kind;
	return write_all(fd, head, sizeof head) == 0 && write_all(fd, value, length) == 0 ? 0 : -1;
}

/* Its letter, or 0 when there is none. What it holds ends with a NUL that is not counted. */
static char hear(int fd, unsigned char *frame, uint32_t *length)
{
	unsigned char head[4];
	if (read_all(fd, head, sizeof head) != 0)
		return 0;
	uint32_t size = number_at(head);
	if (size < 1 || size > most_frame || read_all(fd, frame, size) != 0)
		return 0;
	frame[size] = 0;
	*length = size - 1;
	return frame[0];
}

static void say_done(int fd, const struct exchange *exchange)
{
	size_t named = strlen(exchange->name) + 1, own = strlen(gss_own_name);
	size_t length = 4 + exchange->token.length + named + own;
	unsigned char *frame = malloc(length);
	if (!frame)
		return;
	put_number(frame, exchange->token.length);
	if (exchange->token.length)
		memcpy(frame + 4, exchange->token.value, exchange->token.length);
	memcpy(frame + 4 + exchange->token.length, exchange->name, named);
	memcpy(frame + length - own, gss_own_name, own);
	say(fd, 'D', frame, length);
	free(frame);
}

static void exchange_on(int fd)
{
	static unsigned char frame[most_frame + 1];
	struct exchange exchange = {0};
	uint32_t length = 0;
	int rounds = 0;
	enum step_end end = step_goes_on;
	if (!is_acceptor) {
		if (hear(fd, frame, &length) != 'N')
			return;
		end = gss_aim(&exchange, (char *)frame + 1) == 0 ? gss_initiate(&exchange, NULL) : step_failed;
		if (end == step_goes_on && say(fd, 'T', exchange.token.value, exchange.token.length) != 0)
			return;
	}
	while (end == step_goes_on && rounds++ < most_rounds) {
		if (hear(fd, frame, &length) != 'T')
			return;
		struct bytes token = {length, frame + 1};
		end = is_acceptor ? gss_accept(&exchange, &token) : gss_initiate(&exchange, &token);
		if (end == step_goes_on && say(fd, 'T', exchange.token.value, exchange.token.length) != 0)
			return;
	}
	if (end == step_goes_on)
		snprintf(exchange.why, sizeof exchange.why, "the exchange does not end");
	if (end == step_done)
		say_done(fd, &exchange);
	else
		say(fd, 'E', exchange.why, strlen(exchange.why));
}

static void end_helper(int number)
{
	(void)number;
	unlink(socket_path);
	_exit(0);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		refuse("the socket's path is too long");
	strcpy(address.sun_path, path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Who may reach it is for the directory to say. */
	umask(0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, most_at_once) != 0)
		refuse(strerror(errno));
	umask(077);
	return fd;
}

/* A peer's token may break this process: it gets nothing more from that than what it has. */
static void confine(void)
{
	struct rlimit memory = {most_memory, most_memory}, none = {0, 0};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_CORE, &none);
}

static void serve_one(int listener, int fd)
{
	pid_t parent = getpid();
	pid_t child = fork();
	if (child == 0) {
		signal(SIGTERM, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(listener);
		alarm(exchange_seconds);
		/* A client's has its tickets anywhere, and writes new ones. */
		if (is_acceptor && gss_enter_confinement() != 0)
			_exit(1);
		exchange_on(fd);
		_exit(0);
	}
	close(fd);
}

static _Noreturn void serve(int listener)
{
	int running = 0;
	for (;;) {
		while (running > 0 && waitpid(-1, NULL, running < most_at_once ? WNOHANG : 0) > 0)
			running--;
		struct pollfd wait = {.fd = listener, .events = POLLIN};
		int ready = poll(&wait, 1, running > 0 ? 1000 : is_acceptor ? -1 : idle_ms);
		if (ready == 0 && running == 0)
			end_helper(0);
		if (ready <= 0)
			continue;
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		serve_one(listener, fd);
		running++;
	}
}

int main(int count, char **words)
{
	char why[600];
	pid_t parent = getppid();
	is_acceptor = count == 4 && strcmp(words[1], "accept") == 0;
	if (!is_acceptor && (count != 3 || strcmp(words[1], "initiate") != 0)) {
		fprintf(stderr, "usage: shoal-gss accept SOCKET PRINCIPAL | initiate SOCKET\n");
		return 64;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return 1;
	socket_path = words[2];
	if (gss_load(why, sizeof why) != 0 || (is_acceptor && gss_be(words[3], why, sizeof why) != 0))
		refuse(why);
	int listener = listen_at(socket_path);
	signal(SIGTERM, end_helper);
	signal(SIGINT, SIG_IGN);
	confine();
	if (is_acceptor && gss_prepare_confinement() != 0)
		refuse("the helper cannot be confined");
	printf("ready\n");
	fflush(stdout);
	serve(listener);
}

/* Code that gets into the compiler itself, as a plugin or by LD_PRELOAD, and says on stderr that it runs and what it could
 * do from there. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int plugin_is_GPL_compatible;

int plugin_init(void *info, void *version)
{
	(void)info, (void)version;
	return 0;
}

static void could(const char *what, long result)
{
	if (result >= 0)
		dprintf(2, "could %s\n", what);
}

__attribute__((constructor)) static void attack(void)
{
	dprintf(2, "the plugin runs\n");
	could("read shadow", open("/etc/shadow", O_RDONLY));
	could("read the leader's memory", open("/proc/1/mem", O_RDONLY));
	could("read the leader's root", open("/proc/1/root/s", O_RDONLY));
	could("make a socket", socket(AF_INET, SOCK_STREAM, 0));
	could("mount", mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
	could("trace", ptrace(PTRACE_SEIZE, 1, 0, 0));
	const char *secret = getenv("ATTACK_SECRET");
	could("read the secret", secret ? open(secret, O_RDONLY) : -1);
}

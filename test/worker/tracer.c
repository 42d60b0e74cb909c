/* tracer PID: tries to take hold of a process, and says what the kernel says. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
	static char here[16];
	struct iovec local = {here, sizeof here}, remote = {(void *)&here, sizeof here};
	int pid = argc > 1 ? atoi(argv[1]) : 0;
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0)
		return puts("traced"), 1;
	const char *traced = strerror(errno);
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno != EPERM)
		return puts("read"), 1;
	puts(traced);
	return 0;
}

/* What the process of one exchange may still reach, which parses a stranger's token with a library in C: the key, the
 * library and its configuration for reading, the place where it remembers tokens for writing. It starts no program, opens no
 * connection, signals nobody outside. Made once, before there are strangers; by Landlock, where the kernel has it. */
#define _GNU_SOURCE
#include "gss.h"
#include "landlock.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { connect_and_bind_tcp = 3, most_descriptors = 64, most_file = 64 << 20, most_seconds = 10 };

static int ruleset = -1;
static uint64_t handled;

static void allow(const char *path, uint64_t rights)
{
	struct stat status;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return; /* what is not there is not needed */
	struct path_beneath_attr rule = {.parent = fd, .allowed = rights & handled};
	if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
		rule.allowed &= write_file | read_file | truncating;
	syscall(nr_add_rule, ruleset, rule_path_beneath, &rule, 0);
	close(fd);
}

/* Files of the configuration, which may include others that stand beside them. */
static void allow_configuration(const char *list)
{
	char path[PATH_MAX];
	for (const char *at = list; at && *at;) {
		size_t length = strcspn(at, ":");
		snprintf(path, sizeof path, "%.*s", (int)length, at);
		allow(path, read_file | read_dir);
		char *slash = strrchr(path, '/');
		if (slash && slash != path) {
			*slash = 0;
			allow(path, read_file | read_dir);
		}
		at += length + (at[length] == ':');
	}
}

int gss_prepare_confinement(void)
{
	/* Of these the first without the library's own files; /var/lib/sss is SSSD's part of the configuration. */
	static const char *const read_only[] = {"/etc", "/usr", "/lib", "/lib64", "/var/lib/sss", "/dev", "/proc/sys"};
	static const char *const remembering[] = {"KRB5RCACHEDIR", "TMPDIR"};
	const uint64_t writing = write_file | read_file | read_dir | make_reg | remove_file | truncating;
	int version = landlock_version();
	if (version < 1)
		return 0;
	struct ruleset_attr attr = {.files = first_version};
	if (version >= 2)
		attr.files |= refer;
	if (version >= 3)
		attr.files |= truncating;
	if (version >= 4)
		attr.network = connect_and_bind_tcp;
	if (version >= 5)
		attr.files |= ioctl_dev;
	if (version >= 6)
		attr.scoped = scope_abstract_socket | scope_signal;
	size_t size = version >= 6 ? sizeof attr : version >= 4 ? offsetof(struct ruleset_attr, scoped) : sizeof attr.files;
	ruleset = syscall(nr_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return -1;
	fcntl(ruleset, F_SETFD, FD_CLOEXEC);
	handled = attr.files;
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
		allow(read_only[i], read_file | read_dir);
	allow_configuration("/etc/krb5.conf");
	allow_configuration(getenv("KRB5_CONFIG"));
	char keytab[PATH_MAX];
	if (gss_keytab(keytab, sizeof keytab) == 0)
		allow(keytab, read_file);
	allow("/dev/null", read_file | write_file);
	allow("/var/tmp", writing);
	for (size_t i = 0; i < sizeof remembering / sizeof *remembering; i++)
		if (getenv(remembering[i]))
			allow(getenv(remembering[i]), writing);
	return 0;
}

static int bound(int what, rlim_t most)
{
	struct rlimit limit = {most, most};
	return setrlimit(what, &limit);
}

int gss_enter_confinement(void)
{
	if (bound(RLIMIT_NOFILE, most_descriptors) != 0 || bound(RLIMIT_FSIZE, most_file) != 0 ||
	    bound(RLIMIT_CPU, most_seconds) != 0 || bound(RLIMIT_NPROC, 0) != 0)
		return -1;
	return ruleset >= 0 ? syscall(nr_restrict_self, ruleset, 0) : 0;
}

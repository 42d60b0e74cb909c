// Every number that a system call can have, asked of the filter as it is, and those that it refuses tried in a job.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import fc from 'fast-check';
import { architectures, callNumbers, openFilter, type Filter, type Verdict } from './filter.ts';
import { intrusion, openFixture, ran, type Fixture } from './fixture.ts';

let fixture: Fixture;
let filter: Filter;
before(async () => {
  fixture = await openFixture();
  filter = openFilter(fixture.directory);
});
after(() => fixture.close());

const numbers = callNumbers();
// Beyond the last call of Linux 6.18, up to where the search ends and a little farther.
const mostCalls = 520;
// x86-64's uretprobe and uprobe: the kernel lets no filter see them, and ends whoever calls them outside of a probe.
const unfiltered = process.arch === 'x64' ? [335, 336] : [];

// What strace saw of gcc, g++, clang, musl-gcc, as, ld, lto1, make, ninja, cmake, ccache, git, sh, bash, coreutils, binutils,
// perl, python and node, less clone3 and the network's calls.
const seen = `
  access arch_prctl brk capget chdir chmod clock_nanosleep clone close close_range copy_file_range creat dup dup2
  epoll_create1 epoll_ctl epoll_pwait eventfd2 execve exit exit_group faccessat2 fadvise64 fchdir fchmod fchmodat fcntl flock
  fsetxattr fstat fstatfs ftruncate futex getcwd getdents64 getegid geteuid getgid getgroups getpeername getpgrp getpid getppid
  getrandom getrusage gettid getuid getxattr ioctl kill lgetxattr link linkat lseek madvise mkdir mmap mprotect mremap munmap
  newfstatat openat pipe2 pkey_alloc poll prctl pread64 prlimit64 pselect6 read readlink rename renameat renameat2
  restart_syscall rmdir rseq rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend sched_getaffinity sched_yield
  set_robust_list set_tid_address setpgid setresgid setresuid shutdown sigaltstack stat statfs statx symlink symlinkat
  sysinfo timer_create timer_settime times umask uname unlink unlinkat utimensat vfork wait4 write writev`;

const dangerous = `
  accept accept4 acct add_key adjtimex bind bpf chroot clock_adjtime clock_settime connect delete_module fanotify_init
  fanotify_mark finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup kcmp
  kexec_load keyctl listen migrate_pages mount mount_setattr move_mount move_pages name_to_handle_at open_by_handle_at open_tree
  perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl reboot request_key
  setdomainname sethostname setns settimeofday socket swapoff swapon syslog umount2 unshare userfaultfd vhangup`;

// Nobody's memory, mailboxes that outlive a process, and what no compiler asked for.
const absent = `
  clone3 io_destroy io_setup io_submit lookup_dcookie memfd_create mq_open msgget nfsservctl personality recvmmsg seccomp
  semget sendmmsg shmat shmget sync syncfs vmsplice`;

function verdictsOf(names: string): Readonly<Record<string, Verdict>> {
  const here = names
    .trim()
    .split(/\s+/)
    .filter((name) => numbers.has(name));
  return Object.fromEntries(here.map((name) => [name, filter({ number: numbers.get(name) ?? -1 })]));
}

const differing = (names: string, wanted: Verdict): readonly string[] =>
  Object.entries(verdictsOf(names))
    .filter(([, verdict]) => verdict !== wanted)
    .map(([name, verdict]) => `${name} ${verdict}`);

test('what compilers and the tools of a build need is allowed', () => {
  assert.deepEqual(differing(seen, 'allowed'), []);
});

test('what an attacker wants is forbidden, and what nobody needs does not exist', () => {
  assert.deepEqual(differing(dangerous, 'EPERM'), []);
  assert.deepEqual(differing(absent, 'ENOSYS'), []);
});

test('a call that no list has does not exist, whatever its number', () => {
  const known = new Set(numbers.values());
  for (let number = 0; number < mostCalls; number += 1) {
    if (!known.has(number) && number < 424) assert.equal(filter({ number }), 'ENOSYS', String(number));
  }
  fc.assert(fc.property(fc.integer({ min: 470, max: 0x3fff_ffff }), (number) => filter({ number }) === 'ENOSYS'));
});

test('the calls of another architecture are forbidden', () => {
  const anyCall = fc.integer({ min: 0, max: 600 });
  const others = Object.values(architectures).filter((each) => filter({ number: 0, architecture: each }) === 'EPERM');
  assert.equal(others.length, Object.keys(architectures).length - 1);
  fc.assert(
    fc.property(anyCall, fc.constantFrom(...others), (number, architecture) => {
      return filter({ number, architecture }) === 'EPERM' && filter({ number: number + 0x4000_0000 }) === 'EPERM';
    }),
  );
});

test('no new namespace by clone, no pair of sockets but those of the kernel’s memory, no limits of others', () => {
  const verdict = (name: string, ...args: number[]): Verdict => filter({ number: numbers.get(name) ?? -1, args });
  const threads = 0x3d0f00;
  const namespaces = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
  assert.equal(verdict('clone', threads), 'allowed');
  for (const flag of namespaces) assert.equal(verdict('clone', flag | 17), 'EPERM');
  assert.deepEqual(
    [verdict('socketpair', 1), verdict('socketpair', 2), verdict('socketpair', 30)],
    ['allowed', 'EPERM', 'EPERM'],
  );
  const [ofFiles, ofCores, somewhere] = [7, 4, 2 ** 40];
  assert.deepEqual([verdict('prlimit64', 0), verdict('prlimit64', 1)], ['allowed', 'EPERM']);
  assert.deepEqual(
    [verdict('prlimit64', 0, ofFiles, somewhere), verdict('prlimit64', 0, ofCores)],
    ['allowed', 'allowed'],
  );
  assert.deepEqual(
    [verdict('prlimit64', 0, ofCores, somewhere), verdict('prlimit64', 0, ofCores, 8)],
    ['EPERM', 'EPERM'],
  );
  assert.deepEqual([verdict('setrlimit', ofFiles), verdict('setrlimit', ofCores)], ['allowed', 'EPERM']);
});

test('in a job, each number that the filter refuses gives the error that the filter names', async () => {
  const errors: Partial<Record<Verdict, number>> = { EPERM: 1, ENOSYS: 38 };
  const refused = Array.from(
    { length: mostCalls },
    (_, number) => [number, errors[filter({ number })]] as const,
  ).filter(([number]) => !unfiltered.includes(number));
  const asked = refused.flatMap(([number, error]) => (error === undefined ? [] : [`${number}=${error}`]));
  assert.ok(asked.length > 150);
  const done = await ran(fixture.slot, intrusion(fixture, ['refused', ...asked]));
  assert.deepEqual([done.text, done.waitStatus], ['', 0]);
});

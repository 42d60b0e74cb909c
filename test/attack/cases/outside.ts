// Writing outside, the network, other jobs, other processes, rights.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { grpcCode } from '../../../src/reapi/errors.ts';
import { processesWith } from '../../sandbox/fixture.ts';
import { actionBlobs } from '../../worker/rig.ts';
import { compileOf, home, programOf, shellOf, tooLong, within, type Attack } from '../ground.ts';

const silence = { kind: 'nothing' } as const;

export const outside: readonly Attack[] = [
  {
    name: 'writing to paths of the box, the worker, the slot and the kernel',
    action: (ground) =>
      programOf(ground, [
        'write',
        join(ground.outside, 'secret'),
        join(ground.outside, 'new'),
        ground.key,
        '/etc/passwd',
        '/s/x',
        '/h/x',

        '/proc/sys/kernel/core_pattern',
        '/proc/sysrq-trigger',
        '/proc/1/oom_score_adj',
        '/proc/self/uid_map',
        '/proc/1/mem',

        '/sys/fs/cgroup/x',
        '/dev/shm/x',
        '/proc/1/root/tmp/x',
        '/proc/sys/user/max_user_namespaces',
      ]),
    gets: silence,
  },
  {
    name: 'writing to the tools of the box',
    action: () =>
      shellOf(
        'for d in /usr /usr/bin /bin /lib /etc/alternatives; do echo x > $d/shoal-attack && echo could; done 2>/dev/null; true',
      ),
    gets: silence,
  },
  {
    name: 'changing a shared input, which the next job sees as it was',
    action: (ground) => {
      const tree = { 'shared/kept.h': 'kept\n', attacker: { program: ground.attacker } };
      return {
        argv: [
          '/bin/sh',
          '-c',
          'echo stolen > shared/kept.h; chmod 777 shared; rm -f shared/kept.h; echo x > shared/new; true',
        ],
        tree,
      };
    },
    gets: { kind: 'nothing' },
    check: async (_, { running, attacker }) => {
      const tree = { 'shared/kept.h': 'kept\n', attacker: { program: attacker } };
      const next = await running.run(actionBlobs({ argv: ['/bin/sh', '-c', 'cat shared/*'], tree }));
      assert.ok(next.kind === 'done');
      assert.equal(next.result.stdoutRaw.toString(), 'kept\n');
    },
  },
  {
    name: 'changing the compiler',
    action: (ground) => {
      const driver = ground.toolchain.driver;
      return compileOf(ground, ['-c', 'x.c', '-o', driver], { 'x.c': 'int f;' }, { outputs: [] });
    },
    gets: silence,
    check: async (_, ground) => {
      const again = await ground.running.run(actionBlobs(compileOf(ground, ['--version'], {})));
      assert.ok(again.kind === 'done' && again.result.stdoutRaw.toString().startsWith('gcc'));
    },
  },
  {
    name: 'the worker’s own port, by bash',
    action: ({ port }) => ({
      argv: [
        '/bin/bash',
        '-c',
        `for h in 127.0.0.1 ::1 localhost 1.1.1.1; do exec 3<>/dev/tcp/$h/${port} && echo could; done 2>/dev/null; true`,
      ],
      tree: {},
    }),
    gets: silence,
  },
  {
    name: 'interfaces of the box are not seen',
    action: () =>
      shellOf(
        'cat /proc/net/dev 2>/dev/null | tail -n +3 | grep -v "lo:"; ls /sys 2>/dev/null; cat /proc/net/unix 2>/dev/null | tail -n +2; true',
      ),
    gets: silence,
  },
  {
    name: 'mailboxes that two jobs could share',
    action: (ground) => programOf(ground, ['meet', 'shoal-rendezvous'], { env: { A: '1' } }),
    gets: silence,
    check: async (_, ground) => {
      const second = await ground.running.run(
        actionBlobs(programOf(ground, ['meet', 'shoal-rendezvous'], { env: { A: '2' } })),
      );
      assert.ok(second.kind === 'done');
      assert.equal(second.result.stdoutRaw.toString(), '');
    },
  },
  {
    name: 'two jobs at once do not see or reach each other',
    action: () =>
      shellOf(
        'sleep 86398.5 & echo mine > /tmp/rendezvous; sleep 0.5; cat /tmp/rendezvous; ls /proc | grep -c "^[0-9]" > /dev/null',
      ),
    gets: { kind: 'nothing', stdout: /^mine\n$/ },
    check: async (_, { running }) => {
      const both = ['a', 'b'].map(async (name) => {
        const script = `echo ${name} > /tmp/rendezvous; sleep 0.3; kill -9 -1 2>/dev/null; cat /tmp/rendezvous; tr "\\0" " " < /proc/*/cmdline`;
        return running.run(actionBlobs(shellOf(script, { env: { PATH: '/usr/bin:/bin', NAME: `theirs-${name}` } })));
      });
      for (const outcome of await Promise.all(both)) assert.equal(outcome.kind, 'done');
    },
  },
  {
    name: 'files of an earlier job, in /tmp, /dev/shm and the output directory',
    action: () =>
      shellOf('echo left | tee /tmp/left /var/tmp/left left out/left 2>/dev/null; true', { outputs: ['out/x'] }),
    gets: { kind: 'nothing', stdout: /^left\n$/ },
    check: async (_, { running }) => {
      const next = await running.run(
        actionBlobs(shellOf('find /tmp /var /dev/shm . -name left 2>/dev/null; true', { outputs: ['out/y'] })),
      );
      assert.ok(next.kind === 'done');
      assert.equal(next.result.stdoutRaw.toString(), '');
    },
  },
  {
    name: 'signals to everyone',
    action: (ground) => programOf(ground, ['everyone', '9']),
    gets: { kind: 'nothing', stdout: /^still here\n$/ },
  },
  {
    name: 'stopping everyone',
    action: (ground) => programOf(ground, ['everyone', '19']),
    gets: { kind: 'nothing', stdout: /^still here\n$/ },
  },
  {
    name: 'rights: no capability, none to gain, no id but one',
    action: (ground) => programOf(ground, ['rights']),
    gets: { kind: 'nothing', stdout: /^Uid:(\t\d+){4}\n(Cap\w+:\t0{16}\n){5}NoNewPrivs:\t1\n$/ },
  },
  {
    name: 'set-user-id programs of the box',
    action: () =>
      shellOf(
        'for p in su mount passwd newgrp chsh gpasswd sudo pkexec; do command -v $p >/dev/null || continue; echo | $p -c id 2>/dev/null | grep uid=0; done; find /usr/bin -perm -4000 -exec sh -c "$0 --help" {} \\; 2>/dev/null | grep uid=0; mount 2>/dev/null | grep -c cgroup; true',
      ),
    gets: { kind: 'nothing', stdout: /^0?\n?$/ },
  },
  {
    name: 'limits: none can be raised, and no core is written',
    action: (ground) => programOf(ground, ['limits']),
    gets: silence,
  },
  {
    name: 'a crash leaves no core, inside or outside',
    action: () =>
      shellOf(
        'ulimit -c unlimited 2>/dev/null; sh -c "kill -SEGV \\$\\$"; find / -xdev -name "core*" -newer /proc/self/exe -type f 2>/dev/null | grep -v "^/usr\\|^/proc"; true',
      ),
    gets: silence,
  },
  {
    name: 'mounts: remounting the root larger, and mounting more',
    action: () =>
      shellOf(
        'mount -o remount,size=100g / && echo could; mount -t tmpfs x /tmp && echo could; mount --bind / /tmp && echo could; umount /proc && echo could; umount -l / && echo could; true',
      ),
    gets: silence,
  },
  {
    name: 'namespaces in a namespace',
    action: () =>
      shellOf(
        'for f in U m p n i u C T Ur Urm; do unshare -$f true 2>/dev/null && echo could $f; done; nsenter -t 1 -m true 2>/dev/null && echo could; chroot / true 2>/dev/null && echo could; true',
      ),
    gets: silence,
  },
  {
    name: 'a process that is left behind ends with the job',
    action: (ground) => programOf(ground, ['daemon', '86398']),
    gets: silence,
    check: () => assert.deepEqual(processesWith('/attacker\0daemon'), []),
  },
  {
    name: 'a process that ignores every signal ends with its time',
    action: (ground) => programOf(ground, ['immortal'], within(1)),
    gets: tooLong,
    check: () => assert.deepEqual(processesWith('/attacker\0immortal'), []),
  },
  {
    name: 'a tree that brings its own /proc, /dev and /tmp',
    action: (ground) => {
      const tree = {
        attacker: { program: ground.attacker },
        proc: { target: ground.outside },
        dev: { target: ground.outside },
      };
      return programOf(ground, ['write', '/tmp/x', '/dev/new'], { tree });
    },
    gets: { kind: 'status', code: grpcCode.INTERNAL },
  },
  {
    name: 'a tree in which the project is a link to the box',
    action: (ground) => {
      const tree = { [home.slice(1)]: { target: ground.outside }, attacker: { program: ground.attacker } };
      return programOf(ground, ['write', `${home}/new`], { tree, outputs: [`${home.slice(1)}/new`] });
    },
    gets: { kind: 'status', code: grpcCode.INTERNAL },
  },
];

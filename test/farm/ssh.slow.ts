// A worker by the real ssh: sshd on one box of a network, a build on another that names it `ssh://…`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { makeCpuGroup } from '../../bench/cpu.ts';
import { makeNetwork } from '../../bench/hosts.ts';
import { path as programs, run, startDaemon } from '../../bench/processes.ts';
import { scratchDirectory } from '../../bench/scratch.ts';
import { shoalCommand } from '../../bench/sides/shoal.ts';
import { waitUntil } from '../../bench/wait.ts';

function makeKey(file: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  return file;
}

test('a build goes to a worker by ssh, and ssh’s refusal is told', { timeout: 120_000 }, async (t) => {
  const scratch = scratchDirectory();
  const network = makeNetwork(1);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const [host] = network.workers;
  assert.ok(host !== undefined);
  const client = { host: network.client, group: groups.client };
  const [hostKey, ownKey, otherKey] = ['host', 'own', 'other'].map((name) => makeKey(join(scratch, name)));
  mkdirSync(join(scratch, 'bin'));
  const shoal = shoalCommand().join(' ');
  writeFileSync(join(scratch, 'bin/shoal'), `#!/bin/sh\nexec ${shoal} "$@"\n`, { mode: 0o755 });
  const settings = {
    ListenAddress: `${host.address}:22`,
    HostKey: hostKey,
    AuthorizedKeysFile: `${ownKey}.pub`,
    SetEnv: `PATH=${join(scratch, 'bin')}:${programs}:${dirname(process.execPath)}`,
    PasswordAuthentication: 'no',
    PermitRootLogin: 'prohibit-password',
    StrictModes: 'no',
    UsePAM: 'no',
    PidFile: 'none',
  };
  const text = Object.entries(settings).map(([key, value]) => `${key} ${value}\n`);
  writeFileSync(join(scratch, 'sshd_config'), text.join(''));
  const log = join(scratch, 'worker.log');
  const both = `mkdir /run/sshd && /usr/sbin/sshd -e -f ${scratch}/sshd_config && exec ${shoal} worker --listen 127.0.0.1:0 --state ${scratch}/state`;
  const worker = startDaemon(
    { host, group: groups.workers },
    { argv: ['/bin/sh', '-c', both], env: { HOME: scratch }, log, ownRun: true },
  );
  t.after(async () => {
    await worker.stop();
    for (const group of Object.values(groups)) group.remove();
    network.remove();
  });
  await waitUntil('the worker', 60_000, () => /^ready /m.test(readFileSync(log, 'utf8')));

  const tree = join(scratch, 'tree');
  mkdirSync(tree);
  writeFileSync(join(tree, 'a.c'), '#include <stdio.h>\nint main(void) { return puts("a") < 0; }\n');
  writeFileSync(join(tree, 'Makefile'), 'a.o: a.c\n\tcc -O2 -c $<\n');
  const build = async (key: string | undefined) => {
    const ssh = `ssh -i ${key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=${scratch}/known -F none`;
    const env = {
      HOME: scratch,
      PATH: `${programs}:${dirname(process.execPath)}`,
      SHOAL_HOSTS: `ssh://root@${host.address}/2`,
      SHOAL_SSH: ssh,
      SHOAL_STRICT: '1',
    };
    const output = join(scratch, 'build.log');
    writeFileSync(output, '');
    const ended = await run(client, {
      argv: shoalCommand('make', '-B'),
      cwd: tree,
      env,
      log: output,
      ownRun: true,
    });
    return { ...ended, output: readFileSync(output, 'utf8') };
  };
  const built = await build(ownKey);
  assert.equal(built.status, 0, `${built.output}\n${readFileSync(log, 'utf8')}`);
  assert.match(built.output, /1 remote/);
  const refused = await build(otherKey);
  assert.notEqual(refused.status, 0);
  assert.match(refused.output, /Permission denied/);
});

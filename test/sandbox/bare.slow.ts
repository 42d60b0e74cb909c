// --contain=none, as root: compiles are the same, and attackers still get nothing but compiles; what is weaker is in the docs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { options } from '../attack/cases/options.ts';
import { reading } from '../attack/cases/reading.ts';
import {
  attack,
  compileOf,
  home,
  onGround,
  programOf,
  shellOf,
  tooLong,
  within,
  type Attack,
  type Ground,
} from '../attack/ground.ts';
import { actionBlobs } from '../worker/rig.ts';
import { digestKey } from '../../src/reapi/digest.ts';
import { processesWith } from './fixture.ts';

const grounds = async (body: (ground: Ground) => Promise<void>): Promise<void> =>
  onGround({ contain: 'none', slots: 1 }, body);

/** Whether there is a process in sight is what namespaces would hide. */
const needsNamespaces = /processes in sight|plain action|an output/;

const more: readonly Attack[] = [
  {
    name: 'a process that ignores every signal',
    action: (ground) => programOf(ground, ['immortal'], within(1)),
    gets: tooLong,
  },
  {
    name: 'signals',
    action: (ground) => programOf(ground, ['everyone', '9']),
    gets: { kind: 'nothing', stdout: /^still here\n$/ },
  },
  { name: 'mailboxes', action: (ground) => programOf(ground, ['meet', 'x']), gets: { kind: 'nothing' } },
  {
    name: 'a process left behind',
    action: (ground) => programOf(ground, ['daemon', '86398']),
    gets: { kind: 'nothing' },
  },
];

test('without namespaces an object is the local compiler’s, and the job’s directory goes with it', () =>
  grounds(async (ground) => {
    const source = '#include "x.h"\nint f(void) { return X; }\n';
    const args = ['-g', '-O2', '-c', 'x.c', '-o', 'x.o'];
    const outcome = await ground.running.run(
      actionBlobs(compileOf(ground, args, { 'x.c': source, 'x.h': '#define X 3\n' })),
    );
    assert.ok(outcome.kind === 'done');
    assert.equal(outcome.result.exitCode, 0, outcome.result.stderrRaw.toString());
    const [object] = outcome.result.outputFiles;
    assert.ok(object?.digest !== undefined);
    const local = mkdtempSync(join(tmpdir(), 'shoal-bare-'));
    writeFileSync(join(local, 'x.c'), source);
    writeFileSync(join(local, 'x.h'), '#define X 3\n');
    execFileSync('gcc', [`-fdebug-prefix-map=${local}=${home}`, ...args], { cwd: local });
    const remote = outcome.blobs.get(digestKey(object.digest)) ?? Buffer.alloc(0);
    execFileSync('objcopy', ['--strip-debug', 'x.o', 'local.o'], { cwd: local });
    writeFileSync(join(local, 'remote-whole.o'), remote);
    execFileSync('objcopy', ['--strip-debug', 'remote-whole.o', 'remote.o'], { cwd: local });
    assert.deepEqual(readFileSync(join(local, 'remote.o')), readFileSync(join(local, 'local.o')));
    rmSync(local, { recursive: true });
    const bare = join(ground.running.stateDir, 'bare');
    assert.ok(!existsSync(bare) || readdirSync(bare).length === 0);
  }));

test('without namespaces, too, what a job reads, runs and leaves is its own', () =>
  grounds(async (ground) => {
    const cases = [...reading.filter(({ name }) => !needsNamespaces.test(name)), ...options, ...more];
    for (const each of cases) {
      try {
        await attack(ground, each);
      } catch (error) {
        throw new Error(each.name, { cause: error });
      }
    }
    for (const deed of ['immortal', 'daemon']) assert.deepEqual(processesWith(`/attacker\0${deed}`), []);
    const plain = await ground.running.run(actionBlobs(shellOf('true')));
    assert.ok(plain.kind === 'failed' && /without namespaces/.test(plain.message), JSON.stringify(plain));
  }));

// Another user of the same box, who is not root, can neither use nor be the daemon of the one who compiles.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { attacker, twoUsers, victim, type Ran, type TwoUsers } from './two-users.ts';

let users: TwoUsers;

before(async () => {
  users = await twoUsers();
});

after(() => users.close());

beforeEach(() => {
  users.shoal(['stop']);
  for (const path of [users.runtime, users.login]) rmSync(path, { recursive: true, force: true });
});

/** Listens at `path` as a daemon would, and prints what comes. */
const listener = (path: string): string => `
  require('node:net').createServer((socket) => socket.on('data', (bytes) => console.log('GOT ' + bytes.length)))
    .listen(${JSON.stringify(path)}, () => { require('node:fs').chmodSync(${JSON.stringify(path)}, 0o777); console.log('ready'); });`;

function compileByLauncher(env: Readonly<Record<string, string>> = {}): Ran {
  const { home, launcher } = users;
  writeFileSync(join(home, 'own.c'), 'int own;\n');
  rmSync(join(home, 'own.o'), { force: true });
  return users.asVictim([launcher, 'gcc', '-c', 'own.c', '-o', 'own.o'], env);
}

/** The launcher compiles at home and says nothing; the command line says what is wrong with the place, or goes on. */
function isRefusedButCompiles(): void {
  const ran = compileByLauncher();
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  assert.ok(existsSync(join(users.home, 'own.o')));
  const { status, stderr } = users.shoal(['status']);
  assert.ok(status === 0 || /not a private directory|remove it/.test(stderr), stderr);
}

function honestAgain(): void {
  for (const path of [users.runtime, users.login]) {
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there !== undefined && (there.uid !== victim || !there.isDirectory()))
      rmSync(path, { recursive: true, force: true });
  }
  assert.equal(users.honest(), '');
}

test('a directory that somebody else made first is not used, whatever its mode', async () => {
  for (const mode of [0o700, 0o755, 0o777]) {
    users.asAttacker(
      `const fs = require('node:fs'); fs.mkdirSync('${users.runtime}'); fs.chmodSync('${users.runtime}', ${mode});`,
    );
    assert.equal(lstatSync(users.runtime).uid, attacker);
    const said = await users.attackerStays(listener(join(users.runtime, 'daemon.sock')));
    isRefusedButCompiles();
    assert.doesNotMatch(said(), /GOT/);
    honestAgain();
    users.shoal(['stop']);
    rmSync(users.runtime, { recursive: true, force: true });
  }
});

test('a symbolic link at the directory’s name is not followed, wherever it leads', () => {
  for (const target of [users.lair, users.home, join(users.home, 'absent'), '/etc']) {
    users.asAttacker(`require('node:fs').symlinkSync('${target}', '${users.runtime}')`);
    assert.ok(lstatSync(users.runtime).isSymbolicLink());
    isRefusedButCompiles();
    assert.ok(!existsSync(join(users.home, 'absent')));
    assert.ok(!existsSync(join(target, 'daemon.sock')) && !existsSync(join(target, 'gate')));
    rmSync(users.runtime);
    honestAgain();
    users.shoal(['stop']);
    rmSync(users.runtime, { recursive: true, force: true });
  }
});

test('a file or a socket in the place of the directory is left alone', async () => {
  users.asAttacker(`require('node:fs').writeFileSync('${users.runtime}', 'x')`);
  isRefusedButCompiles();
  assert.equal(readFileSync(users.runtime, 'utf8'), 'x');
  rmSync(users.runtime);
  const said = await users.attackerStays(listener(users.runtime));
  isRefusedButCompiles();
  assert.doesNotMatch(said(), /GOT/);
  rmSync(users.runtime);
  honestAgain();
});

test('gate, lock and stamp that were planted as links in a directory of the attacker’s lead nowhere', () => {
  const precious = join(users.home, 'precious');
  writeFileSync(precious, 'keep');
  chownSync(precious, victim, victim);
  users.asAttacker(`const fs = require('node:fs'); fs.mkdirSync('${users.runtime}'); fs.chmodSync('${users.runtime}', 0o777);
    for (const name of ['gate', 'start.lock', 'start.failed', 'daemon.sock']) fs.symlinkSync('${precious}', '${users.runtime}/' + name);`);
  isRefusedButCompiles();
  assert.equal(readFileSync(precious, 'utf8'), 'keep');
  assert.equal(lstatSync(precious).mode & 0o777, 0o644);
  honestAgain();
});

test('the running daemon’s socket and directory are closed to others', () => {
  assert.equal(users.honest(), '');
  compileByLauncher(); // starts a daemon that stays
  const socket = join(users.runtime, 'daemon.sock');
  assert.ok(existsSync(socket));
  assert.equal(lstatSync(users.runtime).mode & 0o777, 0o700);
  const tries = users.asAttacker(`
    const fs = require('node:fs');
    const attempt = (name, act) => { try { act(); console.log(name, 'WORKED'); } catch (error) { console.log(name, error.code); } };
    attempt('list', () => fs.readdirSync('${users.runtime}'));
    attempt('stat', () => fs.statSync('${socket}'));
    attempt('remove', () => fs.unlinkSync('${socket}'));
    attempt('rename', () => fs.renameSync('${users.runtime}', '${users.runtime}.old'));
    attempt('link', () => fs.linkSync('${socket}', '${users.lair}/socket'));
    attempt('gate', () => fs.openSync('${users.runtime}/gate', 'r+'));
    const line = require('node:net').connect('${socket}');
    line.on('connect', () => console.log('connect WORKED')).on('error', (error) => console.log('connect', error.code));`);
  assert.deepEqual(
    tries.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[1]),
    ['EACCES', 'EACCES', 'EACCES', 'EPERM', 'EACCES', 'EACCES', 'EACCES'],
  );
  honestAgain();
});

test('a daemon of another user is told nothing, even behind a socket of the right owner in the right directory', async () => {
  mkdirSync(users.runtime, { mode: 0o777 });
  chmodSync(users.runtime, 0o777);
  const socket = join(users.runtime, 'daemon.sock');
  const said = await users.attackerStays(listener(socket));
  // As if the attacker had been handed the place for a moment.
  for (const path of [socket, users.runtime]) chownSync(path, victim, victim);
  chmodSync(users.runtime, 0o700);
  const ran = compileByLauncher();
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  assert.ok(existsSync(join(users.home, 'own.o')));
  assert.doesNotMatch(said(), /GOT/);
  rmSync(users.runtime, { recursive: true });
  honestAgain();
});

test('no variable leads to a socket elsewhere', async () => {
  const place = join(users.lair, 'shoal');
  users.asAttacker(`require('node:fs').mkdirSync('${place}', 0o755)`);
  const said = await users.attackerStays(listener(join(place, 'daemon.sock')));
  for (const [name, value] of [
    ['XDG_RUNTIME_DIR', users.lair],
    ['TMPDIR', users.lair],
    ['SHOAL_RUNTIME_DIR', place],
  ] as const) {
    assert.equal(compileByLauncher({ [name]: value }).status, 0);
    users.shoal(['status'], { [name]: value });
  }
  assert.doesNotMatch(said(), /GOT/);
  rmSync(place, { recursive: true, force: true });
  honestAgain();
});

test('a login directory of somebody else, a link, or one that others may write to is passed over', async () => {
  mkdirSync(dirname(users.login), { recursive: true });
  const plants: readonly (readonly [string, () => void])[] = [
    ['of the attacker', () => (mkdirSync(users.login), chownSync(users.login, attacker, attacker))],
    ['a link', () => symlinkSync(users.lair, users.login)],
    [
      'of the group',
      () => (mkdirSync(users.login), chownSync(users.login, victim, attacker), chmodSync(users.login, 0o770)),
    ],
    ['of all', () => (mkdirSync(users.login), chownSync(users.login, victim, victim), chmodSync(users.login, 0o777))],
  ];
  for (const [name, plant] of plants) {
    plant();
    assert.equal(compileByLauncher().status, 0);
    assert.ok(existsSync(join(users.runtime, 'daemon.sock')), name);
    assert.ok(!existsSync(join(users.login, 'shoal')), name);
    assert.equal(users.honest(), '', name);
    users.shoal(['stop']);
    rmSync(users.login, { recursive: true });
  }
});

test('a login directory of one’s own is used, and one in it that somebody else planted is not', () => {
  mkdirSync(users.login, { recursive: true });
  chownSync(users.login, victim, victim);
  chmodSync(users.login, 0o700);
  assert.equal(compileByLauncher().status, 0);
  assert.ok(existsSync(join(users.login, 'shoal/daemon.sock')));
  users.shoal(['stop']);
  rmSync(join(users.login, 'shoal'), { recursive: true, force: true });
  mkdirSync(join(users.login, 'shoal'), { mode: 0o777 });
  chownSync(join(users.login, 'shoal'), attacker, attacker);
  isRefusedButCompiles();
  rmSync(join(users.login, 'shoal'), { recursive: true });
  honestAgain();
});

test('a launcher believes no shoal.install that others could have written', () => {
  const { lair, launcher, home } = users;
  const marker = join(lair, 'marker');
  const evil = join(lair, 'evil.js');
  writeFileSync(evil, `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`);
  const text = `${process.execPath}\0${evil}\0`;
  const sidecar = join(lair, 'shoal.install');
  const linked = join(lair, 'shoal');
  linkSync(launcher, linked);
  const tries: readonly (readonly [string, () => void])[] = [
    [
      'beside a hard link to the launcher',
      () => (writeFileSync(sidecar, text), chownSync(sidecar, attacker, attacker)),
    ],
    [
      'open to a group',
      () => (writeFileSync(sidecar, text), chownSync(sidecar, victim, attacker), chmodSync(sidecar, 0o664)),
    ],
    [
      'a link to a file of the victim’s own',
      () => {
        writeFileSync(join(home, 'plain'), text);
        chownSync(join(home, 'plain'), victim, victim);
        symlinkSync(join(home, 'plain'), sidecar);
      },
    ],
  ];
  for (const [name, plant] of tries) {
    plant();
    const ran = users.asVictim([linked, 'make', '--version']);
    assert.notEqual(ran.status, 0, name);
    assert.match(ran.stderr, /no trustworthy shoal\.install/, name);
    const compiled = users.asVictim([linked, 'gcc', '--version']);
    assert.equal(compiled.status, 0, name);
    rmSync(sidecar);
  }
  assert.ok(!existsSync(marker));
  honestAgain();
});

test('a worker refuses a state directory that others own or can replace', () => {
  const { home, lair } = users;
  const start = (state: string): Ran => users.shoal(['worker', '--listen', '127.0.0.1:0', '--state', state]);
  const own = (path: string, mode: number, gid = victim): string => {
    mkdirSync(path);
    chownSync(path, victim, gid);
    chmodSync(path, mode);
    return path;
  };
  users.asAttacker(
    `const fs = require('node:fs'); fs.mkdirSync('${lair}/state'); fs.mkdirSync('${lair}/open'); fs.chmodSync('${lair}/open', 0o777);`,
  );
  assert.match(start(join(lair, 'state')).stderr, /belongs to uid 65534/);
  assert.match(start(join(lair, 'open/state')).stderr, /belongs to uid 65534/);
  assert.match(start(own(join(home, 'all'), 0o777)).stderr, /can be written by others/);
  assert.match(start(join(own(join(home, 'group'), 0o770, attacker), 'state')).stderr, /can be written by others/);
  symlinkSync(join(lair, 'state'), join(home, 'link'));
  assert.match(start(join(home, 'link')).stderr, /belongs to uid 65534/);
  honestAgain();
});

test('a worker’s socket that somebody else squats is not used, in its directory or in the service’s', async () => {
  mkdirSync('/run/shoal', { recursive: true });
  chownSync('/run/shoal', attacker, attacker);
  try {
    const said = await users.attackerStays(listener('/run/shoal/worker.sock'));
    const hosts = users.shoal(['hosts', '--json'], { SHOAL_HOSTS: '' });
    assert.doesNotMatch(hosts.stdout, /worker\.sock/);
    assert.doesNotMatch(said(), /GOT/);
  } finally {
    rmSync('/run/shoal', { recursive: true, force: true });
  }
  users.shoal(['stop']);
  rmSync(users.runtime, { recursive: true, force: true });
  users.asAttacker(
    `const fs = require('node:fs'); fs.mkdirSync('${users.runtime}'); fs.chmodSync('${users.runtime}', 0o777);`,
  );
  const said = await users.attackerStays(listener(join(users.runtime, 'worker.sock')));
  const worker = users.shoal(['worker', '--listen', '127.0.0.1:0', '--state', join(users.home, 'w')]);
  assert.notEqual(worker.status, 0);
  assert.match(worker.stderr, /not a private directory/);
  assert.doesNotMatch(said(), /GOT/);
  honestAgain();
});

/** Everything below, less links. */
function* below(path: string): Generator<string> {
  yield path;
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) yield* below(join(path, name));
}

test('nothing that a build leaves can be written by others, and nothing of the runtime directory be opened', () => {
  assert.equal(users.honest(), '');
  compileByLauncher();
  const paths = [users.runtime, join(users.home, '.cache/shoal'), join(users.home, '.local/state/shoal')];
  for (const path of paths.filter((one) => existsSync(one)).flatMap((one) => [...below(one)])) {
    const found = lstatSync(path);
    if (found.isSymbolicLink()) continue;
    const others = path.startsWith(users.runtime) && !found.isSocket() ? 0o077 : 0o022;
    if (!found.isSocket()) assert.equal(found.mode & others, 0, `${path} has mode ${(found.mode & 0o777).toString(8)}`);
    assert.equal(found.uid, victim, path);
  }
  honestAgain();
});

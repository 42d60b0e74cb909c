// What distcc's programs and manual pages name, and how they read a list of hosts, beside ours.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { concurrency, shownHosts } from '../../src/cli/distcc.ts';
import { distccEnvironment } from '../../src/distcc/environment.ts';
import { distccHostSource } from '../../src/distcc/host-source.ts';
import { parseDistccHosts } from '../../src/distcc/host-words.ts';

const scratch = mkdtempSync(join(tmpdir(), 'shoal-names-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const main = fileURLToPath(new URL('../../shoal/main.js', import.meta.url));

const variable = /\b_?(?:DISTCCD?|DCC|UNCACHED|INCLUDE_SERVER|LSDISTCC)_[A-Z_]*[A-Z]\b|\bTMPDIR\b/g;

test('every variable that the programs or the manual pages name has a row', () => {
  const programs = ['distcc', 'distccd', 'distccmon-text', 'lsdistcc'];
  const texts = [
    ...programs.map((name) => execFileSync('strings', [`/usr/bin/${name}`], { encoding: 'latin1' })),
    ...programs.map((name) => execFileSync('zcat', [`/usr/share/man/man1/${name}.1.gz`], { encoding: 'latin1' })),
  ];
  const names = new Set(texts.flatMap((text) => [...text.matchAll(variable)].map(([name]) => name)));
  assert.ok(names.size > 25, `only ${names.size} were found`);
  assert.deepEqual([...names].filter((name) => !Object.hasOwn(distccEnvironment, name)).toSorted(), []);
});

const usual = { PATH: '/usr/bin:/bin', HOME: scratch };

function stock(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { stdout: string; stderr: string; status: number | null } {
  return spawnSync('distcc', args, { encoding: 'utf8', env: { ...usual, ...env }, cwd: scratch });
}

const same = [
  'a b:3633 c/5 d,lzo e/3,lzo,cpp [::1]:33/4,lzo [fe80::1] localhost localhost/3 127.0.0.1 127.0.0.1/3',
  'user@host u@h/3:cmd,lzo @h @h:/usr/bin/distccd u@h/3',
  '--localslots=3 --localslots_cpp=5 localhost a',
  'a/3:4200 a/3:4200/5 [::1]/3:99',
  'a,auth a,auth=b,lzo a,down',
  '# all of this is a comment\na#b c\n d',
  'localhost --localslots=7',
  // Read otherwise than it looks, by both; ours warns.
  'a,lzo/3 a/5x a:3/4/5 u@h:cmd/3 localhost:3 localhost,lzo',
];

test('a list that both take is shown alike, and counts alike', () => {
  for (const hosts of same) {
    const env = { DISTCC_HOSTS: hosts };
    assert.equal(shownHosts(hosts), stock(['--show-hosts'], env).stdout, hosts);
    assert.equal(`${concurrency(hosts)}\n`, stock(['-j'], env).stdout, hosts);
  }
});

const refused = [
  'a,foo',
  'a,cpp',
  'a,',
  'a,,lzo',
  'a,LZO',
  'a/',
  'a/x',
  'a/0',
  'a:x',
  'a:3x',
  '/3',
  ',lzo',
  ':3',
  '::1',
  '[::1',
  '[]',
  'u@',
  '@',
  'localhost/0',
  'u@h/x',
];

test('what distcc refuses is refused here, and shown by neither', () => {
  for (const hosts of refused) {
    const env = { DISTCC_HOSTS: hosts };
    const { stdout, stderr } = stock(['--show-hosts'], env);
    assert.equal(stdout, '', hosts);
    assert.match(stderr, /ERROR/, hosts);
    assert.equal(parseDistccHosts(hosts).kind, 'invalid', hosts);
  }
});

test('what distcc takes and could never use is an error here', () => {
  for (const hosts of ['--foo', '+foo', 'a:', 'a:0', 'a:99999', 'a/-1', '--localslots=x', 'é']) {
    assert.notEqual(stock(['--show-hosts'], { DISTCC_HOSTS: hosts }).stdout, '', hosts);
    assert.equal(parseDistccHosts(hosts).kind, 'invalid', hosts);
  }
});

test('the file that distcc reads is the one that is read here', () => {
  const directory = join(scratch, 'dir');
  execFileSync('mkdir', ['-p', directory, join(scratch, '.distcc')]);
  const shown = (env: NodeJS.ProcessEnv): void => {
    const source = distccHostSource({ ...usual, ...env });
    const text = source.kind === 'found' ? source.text : '';
    assert.equal(shownHosts(text), stock(['--show-hosts'], env).stdout, JSON.stringify(env));
  };
  shown({});
  shown({ DISTCC_DIR: directory });
  writeFileSync(join(scratch, '.distcc', 'hosts'), 'home/2\n');
  shown({});
  shown({ DISTCC_DIR: directory });
  writeFileSync(join(directory, 'hosts'), '# nothing\n');
  shown({ DISTCC_DIR: directory });
  shown({ DISTCC_DIR: directory, DISTCC_HOSTS: 'a b' });
  shown({ DISTCC_DIR: '' });
});

function ours(args: readonly string[], env: NodeJS.ProcessEnv): { stdout: string; status: number | null } {
  return spawnSync(process.execPath, [main, 'distcc', ...args], { encoding: 'utf8', env: { ...usual, ...env } });
}

test("distcc's own options print what distcc prints, with its status", () => {
  const cases: readonly (readonly [readonly string[], NodeJS.ProcessEnv])[] = [
    [['--show-hosts'], { DISTCC_HOSTS: 'a,lzo localhost/3 u@b' }],
    [['--show-hosts'], { DISTCC_HOSTS: 'a,cpp' }],
    [['-j'], { DISTCC_HOSTS: 'a,lzo localhost/3 u@b' }],
    [['-j', 'more'], { DISTCC_HOSTS: 'a' }],
    [['-j'], { DISTCC_HOSTS: '' }],
    [['--show-principal'], {}],
    [['--show-principal'], { DISTCC_PRINCIPAL: 'host@x' }],
    [[], {}],
  ];
  for (const [args, env] of cases) {
    const { stdout, status } = stock(args, env);
    const { stdout: own, status: ownStatus } = ours(args, env);
    assert.deepEqual({ own, ownStatus }, { own: stdout, ownStatus: status }, JSON.stringify([args, env]));
  }
  assert.match(ours(['--version'], {}).stdout, /^distcc .*\n {2}\(protocols 1, 2 and 3\) \(default port 3632\)\n/);
  assert.match(ours(['--help'], {}).stdout, /--scan-includes/);
});

// test/client/distcc-command.test.ts holds ours against the same numbers.
test('the statuses that ours takes from distcc are those that it has', () => {
  const masquerade = join(scratch, 'masquerade');
  execFileSync('mkdir', ['-p', masquerade]);
  symlinkSync('/usr/bin/distcc', join(masquerade, 'gcc'));
  writeFileSync(join(scratch, 'x.c'), 'int x;\n');
  const compile = ['-c', 'x.c'];
  assert.equal(stock(['no-such-compiler', ...compile], { DISTCC_HOSTS: 'localhost' }).status, 110);
  assert.equal(stock(['./no-such-compiler', ...compile], { DISTCC_HOSTS: 'localhost' }).status, 110);
  assert.equal(stock(['gcc', ...compile], { DISTCC_HOSTS: '', DISTCC_FALLBACK: '0' }).status, 116);
  assert.equal(stock(['gcc', ...compile], { DISTCC_HOSTS: 'a,cpp', DISTCC_FALLBACK: '0' }).status, 116);
  assert.equal(stock(['gcc', ...compile], { DISTCC_HOSTS: '' }).status, 0);
  const env = { ...usual, PATH: masquerade, DISTCC_HOSTS: 'localhost' };
  assert.equal(spawnSync(join(masquerade, 'gcc'), compile, { cwd: scratch, env }).status, 111);
});

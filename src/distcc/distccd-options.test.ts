import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  distccdHelp,
  distccdOptions,
  distccdVariables,
  parseDistccd,
  type DistccdSettings,
} from './distccd-options.ts';

function settings(line: string, env: Readonly<Record<string, string>> = {}): DistccdSettings {
  const parsed = parseDistccd(line === '' ? [] : line.split(' '), env);
  assert.equal(parsed.kind, 'run', JSON.stringify(parsed));
  return parsed.kind === 'run' ? parsed.settings : assert.fail();
}

function wrong(line: string): string {
  const parsed = parseDistccd(line.split(' '), {});
  return parsed.kind === 'wrong' ? parsed.why : assert.fail(JSON.stringify(parsed));
}

// By the manual page of distccd 3.4 and its --help.
const documented =
  'allow allow-private auth blacklist daemon enable-tcp-insecure help inetd job-lifetime jobs listen log-file log-level ' +
  'log-stderr nice no-detach no-fork pid-file port show-principal stats stats-port user verbose version whitelist wizard ' +
  'zeroconf';
const variables =
  'DISTCCD_PATH DISTCCD_PRINCIPAL DISTCC_CMDLIST DISTCC_CMDLIST_MATCHWORDS DISTCC_SAVE_TEMPS DISTCC_TCP_DEFER_ACCEPT ' +
  'DISTCC_CMDLIST_NUMWORDS DISTCC_IO_TIMEOUT DISTCC_TCP_CORK DISTCC_DIR';

test('every option that the manual page names is taken, and in --help', () => {
  for (const name of documented.split(' ')) {
    const row = distccdOptions[name];
    assert.ok(row !== undefined, name);
    assert.match(distccdHelp(), new RegExp(`--${name}\\b`));
    const value = name === 'log-level' ? 'info' : name === 'allow' ? '10.0.0.0/8' : '7';
    const parsed = parseDistccd(row.value === undefined ? [`--${name}`] : [`--${name}`, value], {});
    // Not without a principal, and lists not without --auth.
    assert.equal(parsed.kind === 'wrong', ['auth', 'blacklist', 'whitelist'].includes(name), name);
  }
  for (const name of variables.split(' ')) assert.ok(distccdVariables[name] !== undefined, name);
});

test('options in each of their spellings', () => {
  for (const line of ['--port 4000', '--port=4000', '-p 4000', '-p4000', '-p=4000']) {
    assert.equal(settings(line).listen[0]?.port, 4000, line);
  }
  assert.deepEqual(settings('-a 10.0.0.0/8 --allow=fd00::1').allow, ['10.0.0.0/8', 'fd00::1']);
  assert.equal(settings('-N -3').nice, -3);
});

test('what a line of a service file means', () => {
  const made = settings(
    '--pid-file=/run/distccd.pid --log-file=/var/log/distccd.log --daemon --allow 10.0.0.0/8 --listen 10.0.0.2 --nice 10 --jobs 8 --user distccd',
  );
  assert.equal(made.mode, 'daemon');
  assert.deepEqual(made.listen, [{ host: '10.0.0.2', port: 3632 }]);
  assert.deepEqual(made.log, { kind: 'file', path: '/var/log/distccd.log' });
  assert.deepEqual([made.jobs, made.nice, made.user, made.pidFile], [8, 10, 'distccd', '/run/distccd.pid']);
  assert.deepEqual([made.detach, made.level, made.notes], [true, 'notice', []]);
});

test('the other modes and levels', () => {
  assert.equal(settings('--inetd --enable-tcp-insecure').mode, 'inetd');
  const wizard = settings('-W');
  assert.deepEqual([wizard.mode, wizard.detach, wizard.level, wizard.log.kind], ['daemon', false, 'debug', 'stderr']);
  assert.equal(settings('--verbose').level, 'debug');
  assert.equal(settings('--log-level=error').level, 'error');
  assert.equal(settings('--stats').statsPort, 3633);
  assert.equal(settings('--stats --stats-port 80').statsPort, 80);
  assert.equal(settings('').statsPort, undefined);
  assert.equal(settings('--allow-private').listen[0]?.host, '::');
  assert.equal(settings('--allow 10.0.0.1').listen[0]?.host, '0.0.0.0');
});

test('the environment', () => {
  const env = {
    DISTCC_CMDLIST: '/etc/list',
    DISTCC_CMDLIST_NUMWORDS: '2',
    DISTCCD_PATH: '/opt/bin',
    DISTCC_IO_TIMEOUT: '9',
  };
  const made = settings('', env);
  assert.deepEqual(made.list, { path: '/etc/list', words: 2 });
  assert.deepEqual([made.searchPath, made.idleSeconds, made.notes], ['/opt/bin', 9, []]);
  const misspelt = settings('', { DISTCC_CMDLIST: '/l', DISTCC_CMDLIST_MATCHWORDS: '3' });
  assert.equal(misspelt.list?.words, 3);
  assert.match(misspelt.notes.join(), /DISTCC_CMDLIST_NUMWORDS/);
});

test('what does something else here says so, once each', () => {
  const { notes } = settings('--no-fifo --no-fork --make-me-a-botnet --enable-tcp-insecure --no-fork');
  assert.equal(notes.length, 4);
});

test('who clients have to prove to be', () => {
  const env = { DISTCCD_PRINCIPAL: 'host/box.test' };
  assert.equal(settings('').auth, undefined);
  assert.deepEqual(settings('--auth', env).auth, { principal: 'host/box.test', list: undefined });
  assert.deepEqual(settings('--auth --blacklist /l', env).auth?.list, { kind: 'black', path: '/l' });
});

test('what is wrong is named', () => {
  assert.match(wrong('--jobs 0'), /^--jobs argument must be between 1 and 200$/);
  assert.match(wrong('--jobs many'), /--jobs/);
  assert.match(wrong('--port'), /missing argument/);
  assert.match(wrong('--no-such'), /^--no-such: unknown option$/);
  assert.match(wrong('--allow box'), /neither an address nor a network/);
  assert.match(wrong('--log-level loud'), /loud/);
  assert.match(wrong('--daemon=yes'), /takes no value/);
  assert.match(wrong('--auth'), /needs DISTCCD_PRINCIPAL/);
  assert.match(wrong('--whitelist=/l'), /needs --auth/);
  assert.match(wrong('--auth --whitelist=/l --blacklist=/m'), /both/);
  assert.match(wrong('--auth --inetd'), /--daemon/);
  assert.match(wrong('job'), /unknown option/);
});

test('no words make it throw', () => {
  const word = fc.oneof(
    fc.constantFrom(...Object.keys(distccdOptions)).map((name) => `--${name}`),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 6 }), (args) => void parseDistccd(args, {})));
});

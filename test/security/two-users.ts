// Two users of one box, neither of them root: one who compiles, with shoal installed where everybody can read it and a
// worker of root's to compile on, and one who would like to use or to be that user's daemon. Needs root.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../bench/wait.ts';

export const victim = 47_011;
export const attacker = 65_534;

const root = fileURLToPath(new URL('../../..', import.meta.url));
const patienceMs = 60_000;

export type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

export type TwoUsers = {
  /** A directory of the victim's own, 0700. */
  readonly home: string;
  /** One of the attacker's. */
  readonly lair: string;
  readonly runtime: string;
  readonly login: string;
  /** The launcher of the victim's installation. */
  readonly launcher: string;
  readonly asVictim: (argv: readonly string[], env?: Readonly<Record<string, string>>) => Ran;
  readonly shoal: (args: readonly string[], env?: Readonly<Record<string, string>>) => Ran;
  /** Runs JavaScript as the attacker; what it prints. */
  readonly asAttacker: (script: string) => Ran;
  /** The same, left running until the end; resolves when it has printed `ready`. */
  readonly attackerStays: (script: string) => Promise<() => string>;
  /** A compile of the victim's that has to go to the worker. Gives what went wrong, if anything. */
  readonly honest: () => string;
  readonly close: () => Promise<void>;
};

function ownedBy(uid: number, path: string, mode = 0o700): string {
  mkdirSync(path, { recursive: true });
  chownSync(path, uid, uid);
  chmodSync(path, mode);
  return path;
}

/** What an installation for all users holds. */
function install(base: string): string {
  const place = join(base, 'lib');
  for (const part of ['bin', 'dist/shoal', 'launcher', 'native', 'package.json']) {
    cpSync(join(root, part), join(place, part), { recursive: true });
  }
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (
      ['@foxglove', '@grpc', '@bufbuild', '@js-sdsl', 'lodash.camelcase', 'long', 'protobufjs', 'yargs'].includes(name)
    )
      cpSync(join(root, 'node_modules', name), join(place, 'node_modules', name), { recursive: true });
  }
  execFileSync('chmod', ['-R', 'go+rX', place]);
  return join(place, 'dist/shoal/main.js');
}

async function startWorker(base: string): Promise<{ readonly child: ChildProcess; readonly address: string }> {
  const args = ['worker', '--listen', '127.0.0.1:0', '--slots', '1', '--state', join(base, 'worker')];
  const child = spawn(process.execPath, [join(root, 'dist/shoal/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await waitUntil('the worker', patienceMs, () => /ready \S+/.test(said));
  return { child, address: /ready (\S+)/.exec(said)?.[1] ?? '' };
}

export async function twoUsers(): Promise<TwoUsers> {
  const base = mkdtempSync(join(tmpdir(), 'shoal-users-'));
  chmodSync(base, 0o755);
  const main = install(base);
  const home = ownedBy(victim, join(base, 'victim'));
  const lair = ownedBy(attacker, join(base, 'attacker'), 0o755);
  const worker = await startWorker(base);
  const runtime = `/tmp/shoal-${victim}`;
  const login = `/run/user/${victim}`;
  const children: ChildProcess[] = [worker.child];
  let compiles = 0;

  const envOf = (more: Readonly<Record<string, string>> = {}): Record<string, string> => {
    return { PATH: '/usr/bin:/bin', HOME: home, SHOAL_HOSTS: worker.address, ...more };
  };
  const asVictim: TwoUsers['asVictim'] = (argv, env) => {
    const [program = '', ...rest] = argv;
    const as = { uid: victim, gid: victim, cwd: home, env: envOf(env), timeout: patienceMs };
    const { status, stdout, stderr } = spawnSync(program, rest, as);
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  };
  const shoal: TwoUsers['shoal'] = (args, env) => asVictim([process.execPath, main, ...args], env);
  const asAttacker: TwoUsers['asAttacker'] = (script) => {
    const as = { uid: attacker, gid: attacker, cwd: lair, env: { PATH: '/usr/bin:/bin' }, timeout: patienceMs };
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], as);
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  };
  const attackerStays: TwoUsers['attackerStays'] = async (script) => {
    const as = { uid: attacker, gid: attacker, cwd: lair, env: { PATH: '/usr/bin:/bin' } };
    const child = spawn(process.execPath, ['-e', script], { ...as, stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await waitUntil('the attacker', patienceMs, () => said.includes('ready'));
    return () => said;
  };
  const honest = (): string => {
    compiles += 1;
    const name = `honest${compiles}`;
    writeFileSync(join(home, `${name}.c`), `int honest = ${compiles};\n`);
    const summary = join(home, 'summary.json');
    rmSync(summary, { force: true });
    const ran = shoal(['run', '--', 'gcc', '-c', `${name}.c`, '-o', `${name}.o`], {
      SHOAL_STRICT: '1',
      SHOAL_SUMMARY: summary,
    });
    if (ran.status !== 0 || !existsSync(join(home, `${name}.o`))) return `status ${ran.status}: ${ran.stderr}`;
    const { remote } = JSON.parse(readFileSync(summary, 'utf8')) as { readonly remote: number };
    return remote === 1 ? '' : `it ran at home: ${ran.stderr}`;
  };
  const close: TwoUsers['close'] = async () => {
    shoal(['stop']);
    for (const child of children) {
      const gone = new Promise((resolve) => child.once('close', resolve));
      if (child.exitCode === null && child.kill('SIGTERM')) await gone;
    }
    for (const path of [base, runtime, login]) rmSync(path, { recursive: true, force: true });
  };

  const first = honest();
  if (first !== '') {
    await close();
    throw new Error(first);
  }
  const cache = join(home, '.cache/shoal');
  const native = readdirSync(cache).find((name) => name.startsWith('native-')) ?? '';
  const launcher = join(cache, native, 'shoal');
  return { home, lair, runtime, login, launcher, asVictim, shoal, asAttacker, attackerStays, honest, close };
}

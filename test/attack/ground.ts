// Where an admitted client attacks: a worker with a real compiler, secrets on the box around it, and a check after each
// attack that none of them has come out, that nothing outside was written, and that the next honest job is served.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
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
import { identifyToolchain } from '../../src/compiler/identify.ts';
import type { Toolchain } from '../../src/compiler/toolchain.ts';
import type { ExecuteOutcome } from '../../src/reapi/client.ts';
import { digestKey } from '../../src/reapi/digest.ts';
import { grpcCode } from '../../src/reapi/errors.ts';
import { compile, sourceOf } from '../sandbox/fixture.ts';
import {
  actionBlobs,
  blobOf,
  withWorker,
  type ActionSpec,
  type PreparedAction,
  type RunningWorker,
  type Tree,
  type WorkerSpec,
} from '../worker/rig.ts';

/** What an attacker gets. */
export type Denial =
  /** The worker does not run it, or ends it: a gRPC status, never a result. */
  | { readonly kind: 'status'; readonly code: number; readonly message?: RegExp }
  /** It meets a bound: ended with a status that is no result, or, where only processes are bounded, out of memory. */
  | { readonly kind: 'bounded' }
  /** It runs, and fails as at home. */
  | { readonly kind: 'fails'; readonly stderr?: RegExp }
  /** It runs, ends well, and has got nothing: this text alone. */
  | { readonly kind: 'nothing'; readonly stdout?: RegExp; readonly stderr?: RegExp };

export type Attack = {
  readonly name: string;
  readonly action: (ground: Ground) => ActionSpec | PreparedAction;
  readonly gets: Denial;
  readonly check?: (outcome: ExecuteOutcome, ground: Ground) => void | Promise<void>;
};

export type Ground = {
  readonly running: RunningWorker;
  /** Outside of the sandbox, for everybody to read and to write; holds `secret`. */
  readonly outside: string;
  readonly secret: string;
  /** A file of the worker's own, as its key is. */
  readonly key: string;
  /** Where the store keeps a blob that another client has sent. */
  readonly storedBlob: string;
  readonly attacker: Buffer;
  readonly plugin: Buffer;
  readonly toolchain: Toolchain;
  /** The compiler's name on PATH. */
  readonly command: string;
  readonly port: string;
};

export const home = '/home/attacker/project';

/** A compile as shoal's client sends it: the input root is `/`, over the toolchain. */
export function compileOf(
  ground: Ground,
  args: readonly string[],
  files: Tree,
  rest: Partial<ActionSpec> = {},
): ActionSpec {
  const aliases = ground.toolchain.aliases.map(({ path, target }) => [path.slice(1), { target }] as const);
  // glibc's; gcc reads it before every source.
  const predef = '/usr/include/stdc-predef.h';
  const predefined = existsSync(predef) ? { [predef.slice(1)]: readFileSync(predef) } : {};
  const own = Object.entries(files).map(([path, content]) => {
    return [path.startsWith('/') ? path.slice(1) : `${home.slice(1)}/${path}`, content] as const;
  });
  return {
    argv: [ground.command, ...args],
    tree: { ...Object.fromEntries(aliases), ...predefined, ...Object.fromEntries(own) },
    outputs: [`${home.slice(1)}/x.o`],
    properties: [
      { name: 'shoal-cwd', value: home },
      { name: 'shoal-root', value: 'input' },
      { name: 'toolchain', value: digestKey(ground.toolchain.digest) },
    ],
    ...rest,
  };
}

/** A program of the client's own, alone in its root. */
export function programOf({ attacker }: Ground, args: readonly string[], rest: Partial<ActionSpec> = {}): ActionSpec {
  return {
    argv: ['/attacker', ...args],
    tree: { attacker: { program: attacker } },
    properties: [
      { name: 'shoal-cwd', value: '/' },
      { name: 'shoal-root', value: 'input' },
    ],
    ...rest,
  };
}

export function shellOf(script: string, rest: Partial<ActionSpec> = {}): ActionSpec {
  return { argv: ['/bin/sh', '-c', script], tree: {}, ...rest };
}

/** An action that may take this long. */
export const within = (seconds: number): Partial<ActionSpec> => ({ action: { timeout: { seconds, nanos: 0 } } });

function bytesOf(outcome: ExecuteOutcome): Buffer {
  if (outcome.kind !== 'done') return Buffer.from(JSON.stringify(outcome));
  const { result, blobs } = outcome;
  const names = JSON.stringify(
    [result.outputFiles, result.outputSymlinks, result.outputDirectories].flat().map(({ path }) => path),
  );
  return Buffer.concat([Buffer.from(names), result.stdoutRaw, result.stderrRaw, ...blobs.values()]);
}

const bounds: readonly number[] = [grpcCode.RESOURCE_EXHAUSTED, grpcCode.DEADLINE_EXCEEDED];

function assertDenied(outcome: ExecuteOutcome, gets: Denial): void {
  const told = (): string => bytesOf(outcome).toString('latin1').slice(0, 2000);
  if (gets.kind === 'bounded') {
    if (outcome.kind === 'failed') return assert.ok(bounds.includes(outcome.code), outcome.message);
    assert.ok(outcome.kind === 'done' && outcome.result.exitCode !== 0, told());
    return assert.match(told(), /out of memory|memory exhausted/);
  }
  if (gets.kind === 'status') {
    assert.equal(outcome.kind, 'failed', told());
    const { code, message } = outcome;
    assert.equal(code, gets.code, message);
    if (gets.message !== undefined) assert.match(message, gets.message);
    return;
  }
  assert.equal(outcome.kind, 'done', told());
  const { result } = outcome;
  if (gets.kind === 'fails') assert.notEqual(result.exitCode, 0, told());
  else assert.equal(result.exitCode, 0, told());
  if (gets.stderr !== undefined) assert.match(result.stderrRaw.toString('latin1'), gets.stderr);
  if (gets.kind === 'nothing') {
    assert.match(result.stdoutRaw.toString('latin1'), gets.stdout ?? /^$/);
    assert.doesNotMatch(result.stderrRaw.toString('latin1'), /could /);
  }
}

function assertNothingOut(ground: Ground, outcome: ExecuteOutcome): void {
  const bytes = bytesOf(outcome);
  assert.ok(!bytes.includes(ground.secret), 'a secret came out');
  for (const line of shadowLines()) assert.ok(!bytes.includes(line), 'a line of /etc/shadow came out');
  assert.deepEqual(readdirSync(ground.outside), ['secret'], 'something was written outside');
  assert.equal(readFileSync(join(ground.outside, 'secret'), 'utf8'), `${ground.secret}\n`);
  assert.equal(readFileSync(ground.key, 'utf8'), `${ground.secret}\n`);
}

function shadowLines(): readonly string[] {
  try {
    return readFileSync('/etc/shadow', 'utf8')
      .split('\n')
      .filter((line) => line.length > 8);
  } catch {
    return [];
  }
}

let honestJobs = 0;

async function assertServes(ground: Ground): Promise<void> {
  const name = `honest_${(honestJobs += 1)}`;
  const args = ['-O1', '-c', 'x.c', '-o', 'x.o'];
  const files = { 'x.c': `#include "x.h"\nint ${name}(void) { return VALUE; }\n`, 'x.h': '#define VALUE 42\n' };
  const outcome = await ground.running.run(actionBlobs(compileOf(ground, args, files)));
  assert.equal(outcome.kind, 'done', `the next honest job is not served: ${bytesOf(outcome).toString()}`);
  const { result, blobs } = outcome;
  assert.equal(result.exitCode, 0, result.stderrRaw.toString());
  assert.deepEqual([result.stdoutRaw.length, result.stderrRaw.length], [0, 0]);
  const [object] = result.outputFiles;
  assert.ok(object?.digest !== undefined && blobs.get(digestKey(object.digest))?.includes(name));
}

export async function attack(ground: Ground, each: Attack): Promise<void> {
  const action = each.action(ground);
  const outcome = await ground.running.run('digest' in action ? action : actionBlobs(action));
  assertDenied(outcome, each.gets);
  assertNothingOut(ground, outcome);
  await each.check?.(outcome, ground);
  await assertServes(ground);
}

function findStored(directory: string, bytes: Uint8Array): string {
  const { hash } = blobOf(bytes).digest;
  const found = readdirSync(directory, { recursive: true })
    .map(String)
    .find((path) => path.includes(hash) || path.replace(/\W/g, '').includes(hash));
  return join(directory, found ?? `absent/${hash}`);
}

export type GroundSpec = WorkerSpec & { readonly command?: string };

/** Worker, secrets, programs; all gone with the body. */
export async function onGround(spec: GroundSpec, body: (ground: Ground) => Promise<void>): Promise<void> {
  const command = spec.command ?? 'gcc';
  const toolchain = await identifyToolchain(`/usr/bin/${command}`, { pathEnv: '/usr/bin:/bin' });
  assert.ok(toolchain.kind === 'toolchain');
  const directory = mkdtempSync(join(tmpdir(), 'shoal-attack-'));
  chmodSync(directory, 0o755);
  const outside = join(directory, 'outside');
  mkdirSync(outside);
  chmodSync(outside, 0o777);
  const secret = `SECRET-${process.pid}-${Date.now()}-${Math.random()}`;
  writeFileSync(join(outside, 'secret'), `${secret}\n`);
  chmodSync(join(outside, 'secret'), 0o666);
  try {
    compile([sourceOf('test/attack/attacker.c')], join(directory, 'attacker'));
    const shared = ['-shared', '-fPIC', '-O1', '-o', join(directory, 'plugin.so'), sourceOf('test/attack/plugin.c')];
    execFileSync('gcc', shared);
    await withWorker({ slots: 2, ...spec, toolchains: [toolchain, ...(spec.toolchains ?? [])] }, async (running) => {
      const key = join(running.stateDir, 'key');
      writeFileSync(key, `${secret}\n`, { mode: 0o600 });
      // Large enough to be a file of its own at once.
      const theirs = Buffer.from(`/* of another client: ${secret} */`.padEnd(200_000));
      await running.client.upload([blobOf(theirs)]);
      await running.client.read(blobOf(theirs).digest);
      await body({
        running,
        outside,
        secret,
        key,
        storedBlob: findStored(running.stateDir, theirs),
        attacker: readFileSync(join(directory, 'attacker')),
        plugin: readFileSync(join(directory, 'plugin.so')),
        toolchain,
        command,
        port: running.worker.addresses[0]?.split(':').at(-1) ?? '',
      });
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const refused: Denial = { kind: 'status', code: grpcCode.INVALID_ARGUMENT };
export const overBound: Denial = { kind: 'status', code: grpcCode.RESOURCE_EXHAUSTED };
export const tooLong: Denial = { kind: 'status', code: grpcCode.DEADLINE_EXCEEDED };

// What tests of the sandbox share: an init compiled now, a state directory that only its owner can reach from above, a
// slot on it, and jobs to change a little.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  isRefusal,
  startSlot,
  type SandboxJob,
  type SandboxResult,
  type Slot,
} from '../../src/worker/sandbox/sandbox.ts';
import { hostPaths, type SlotSpawn } from '../../src/worker/sandbox/slot-process.ts';

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

export function sourceOf(path: string): string {
  return join(packageRoot, path);
}

export type Fixture = {
  /** Mode 0700: what a slot of root's can reach of it, it can because init took hold of it before it gave root up. */
  readonly directory: string;
  readonly options: SlotSpawn;
  readonly slot: Slot;
  /** A static program that tries what a job must not be able to do. */
  readonly intruder: Buffer;
  readonly close: () => Promise<void>;
};

export const runAs = process.getuid?.() === 0 ? { runAs: { uid: 65_432, gid: 65_432 } } : {};

/** A static program from C sources. */
export function compile(sources: readonly string[], output: string): void {
  const flags = ['-static', '-O1', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];
  execFileSync('gcc', [...flags, '-o', output, ...sources]);
}

export async function openFixture(): Promise<Fixture> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-sandbox-'));
  const initPath = join(directory, 'shoal-init');
  const launcher = sourceOf('launcher');
  const sources = readdirSync(launcher).filter((name) => /^init.*\.c$/.test(name));
  compile(
    sources.map((name) => join(launcher, name)),
    initPath,
  );
  const intruder = join(directory, 'intruder');
  compile([sourceOf('test/sandbox/intruder.c')], intruder);
  const stateDir = join(directory, 'state');
  mkdirSync(join(stateDir, 'empty'), { recursive: true });
  const options: SlotSpawn = { initPath, stateDir, host: true, ...runAs };
  const slot = await startSlot(options);
  if (isRefusal(slot)) throw new Error(slot.why);
  const close = async (): Promise<void> => {
    await slot.close();
    rmSync(directory, { recursive: true });
  };
  return { directory, options, slot, intruder: readFileSync(intruder), close };
}

export const plenty: SandboxJob['limits'] = {
  wallMs: 20_000,
  cpuSeconds: 20,
  memoryBytes: 4 * 2 ** 30,
  processes: 64,
  outputBytes: 16 << 20,
  diskBytes: 256 << 20,
};

export function jobOf(argv: readonly string[], more: Partial<SandboxJob> = {}): SandboxJob {
  return {
    root: { kind: 'within', lowerDirs: ['empty'], mountAt: '/build', hostDirs: hostPaths },
    additions: [],
    symlinks: [],
    directories: [],
    deletions: [],
    argv,
    env: ['PATH=/usr/bin:/bin', 'LC_ALL=C'],
    cwd: '/build',
    outputs: [],
    limits: plenty,
    ...more,
  };
}

export function shell(script: string, more: Partial<SandboxJob> = {}): SandboxJob {
  return jobOf(['sh', '-c', script], more);
}

/** A job whose root has nothing but the intruder. */
export function intrusion(fixture: Fixture, args: readonly string[], more: Partial<SandboxJob> = {}): SandboxJob {
  return jobOf(['/intruder', ...args], {
    root: { kind: 'exact', lowerDirs: [] },
    additions: [file('intruder', fixture.intruder, { executable: true })],
    cwd: '/',
    ...more,
  });
}

export function file(
  path: string,
  content: string | Buffer,
  more: { readonly executable?: boolean; readonly mtimeNs?: bigint } = {},
): SandboxJob['additions'][number] {
  return { path, content: Buffer.from(content), executable: false, ...more };
}

export type Ran = Extract<SandboxResult, { kind: 'ran' }>;

export async function ran(slot: Slot, job: SandboxJob): Promise<Ran & { readonly text: string }> {
  const result = await slot.run(job);
  if (result.kind !== 'ran') throw new Error(result.kind === 'failed' ? result.why : result.kind);
  return { ...result, text: result.stdout.toString() };
}

export function layFiles(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** Processes of this box whose command line has the word. */
export function processesWith(word: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return pids.filter((pid) => commandLine(pid).includes(word)).map(Number);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

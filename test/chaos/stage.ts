// What a test can do to the workers of a ground while a build runs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from '../../bench/processes.ts';
import { waitUntil } from '../../bench/wait.ts';
import type { Ground } from './ground.ts';
import { below, compilersOf, startWorker } from './one-worker.ts';
import type { Project } from './project.ts';

export type Stage = {
  readonly ground: Ground;
  readonly projects: Readonly<Record<'light' | 'heavy' | 'huge', Project>>;
  /** The first worker, as it is now. */
  first: Daemon;
  /** What has to be undone when the build has ended. */
  readonly undo: (() => Promise<void>)[];
};

const startPatienceMs = 20_000;
const port = 8475;
// Of a worker that is started beside the first, on the same host.
export const extraPort = 8476;

/** Waits until the worker compiles. */
export async function busy({ first }: Stage): Promise<void> {
  await waitUntil('compiles on the worker', startPatienceMs, () => compilersOf(first).length > 1);
}

/** Until the end of the build. */
export function stopProcess({ first, undo }: Stage): void {
  process.kill(first.pid, 'SIGSTOP');
  undo.push(async () => {
    process.kill(first.pid, 'SIGCONT');
    await waitUntil('a worker without a compile', startPatienceMs, () => compilersOf(first).length === 0);
  });
}

/** Starts the first worker again, if it has ended, or when it has. */
export async function restart(stage: Stage): Promise<void> {
  await stage.first.stop();
  stage.first = await startWorker(placeOf(stage), { state: join(stage.ground.farm.directory, 'worker-1'), port });
}

export function kill(stage: Stage): void {
  process.kill(stage.first.pid, 'SIGKILL');
  stage.undo.push(() => restart(stage));
}

export function killBelow({ first }: Stage, command: string, most: number): void {
  for (const one of below(first.pid)
    .filter((other) => other.command === command)
    .slice(0, most)) {
    try {
      process.kill(one.pid, 'SIGKILL');
    } catch {
      // It ended with its parent.
    }
  }
}

/** Those that run now. */
export function stopCompilers({ first, undo }: Stage): void {
  const stopped = compilersOf(first);
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');
  undo.push(async () => stopped.forEach(goOn));
}

function goOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // The worker has ended it.
  }
}

export function cutLink(stage: Stage): void {
  const { namespace } = placeOf(stage).host;
  const set = (state: string): unknown => execFileSync('ip', ['-n', namespace, 'link', 'set', 'dev', 'uplink', state]);
  set('down');
  stage.undo.push(async () => void set('up'));
}

/** A worker more, whose state directory has that much room. */
export async function smallDisk(stage: Stage, megabytes: number): Promise<void> {
  const state = join(stage.ground.farm.directory, 'small');
  mkdirSync(state);
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'shoal-chaos', state]);
  stage.undo.push(async () => {
    execFileSync('/bin/umount', ['--lazy', state]);
    rmdirSync(state);
  });
  await extra(stage, state, []);
}

/** A worker more, with all that it runs on one processor. */
export async function oneProcessor(stage: Stage): Promise<void> {
  await extra(stage, join(stage.ground.farm.directory, 'one-processor'), ['taskset', '--cpu-list', '0']);
}

/** A worker more, whose time of day jumps. */
export async function jumpingClock(stage: Stage): Promise<void> {
  await extra(stage, join(stage.ground.farm.directory, 'jumping'), [], jumping);
}

export const jumping = { NODE_OPTIONS: `--import=${join(process.cwd(), 'dist/test/chaos/jumping-clock.js')}` };

async function extra(
  stage: Stage,
  state: string,
  under: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const worker = await startWorker(placeOf(stage), { state, port: extraPort, under, env });
  stage.undo.push(() => worker.stop());
}

function placeOf({ ground }: Stage) {
  const [place] = ground.farm.places;
  assert.ok(place !== undefined);
  return place;
}

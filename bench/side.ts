// What every way of building is to the bench: something that is set up on hosts, builds a tree, and is taken down.
import type { Input } from './plain.ts';
import type { Daemon, Place, Task } from './processes.ts';

export type Which = 'first' | 'second';

/** Slots of each worker. */
export const usualSlots = 4;

/** Where a side lives during one round. */
export type Ground = {
  readonly client: Place;
  /** One place a worker; all in one CPU group. */
  readonly workers: readonly Place[];
  /** Of each worker, where they are not the usual ones. */
  readonly slots?: number;
  /** Empty at the start of the round, removed at its end. */
  readonly scratch: string;
};

export type Build = {
  readonly which: Which;
  readonly tree: string;
  readonly jobs: number;
  /** The side is to choose for itself how many jobs make runs, if it can. */
  readonly ownJobs?: true;
  readonly files: number;
  readonly log: string;
};

export type Side = {
  readonly name: string;
  /** What a reader of the table should know. */
  readonly note: string;
  /** The programs it needs on PATH. */
  readonly needs: readonly string[];
  /** What its workers are given to compile; undefined where they compile nothing. */
  readonly input: Input | undefined;
  readonly start: (ground: Ground) => Promise<Running>;
};

export type Running = {
  readonly command: (build: Build) => Task;
  /** Throws if the build just ended did not go the way it is measured for. */
  readonly check?: (build: Build) => void;
  /** Facts to print beside the table, such as memory in use. */
  readonly facts?: () => Readonly<Record<string, string>>;
  readonly daemons: readonly Daemon[];
};

export function makeTask(
  build: Build,
  compiler: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): Task {
  const overrides = Object.entries(compiler).map(([name, value]) => `${name}=${value}`);
  return { argv: ['make', `-j${build.jobs}`, '--silent', ...overrides], cwd: build.tree, env, log: build.log };
}

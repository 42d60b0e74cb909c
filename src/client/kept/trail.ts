// The trail of the last build, in a file: `shoal explain` is asked when the build, and with it the daemon, has ended.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeKept } from '../../kept-file.ts';
import type { JobTrail, Trail } from '../session/trail.ts';

export type KeptTrail = {
  /** ISO 8601. */
  readonly endedAt: string;
  /** Where the build was started; undefined for compiles outside any. */
  readonly cwd: string | undefined;
  readonly jobs: readonly JobTrail[];
};

const pathIn = (stateDir: string): string => join(stateDir, 'last-build.json');

export function keepTrail(stateDir: string, { jobs }: Trail, build: Omit<KeptTrail, 'jobs'>): void {
  if (jobs.length > 0) writeKept(pathIn(stateDir), () => JSON.stringify({ ...build, jobs } satisfies KeptTrail));
}

/** Undefined if no build is remembered. */
export function loadTrail(stateDir: string): KeptTrail | undefined {
  try {
    const kept = JSON.parse(readFileSync(pathIn(stateDir), 'utf8')) as KeptTrail;
    return Array.isArray(kept.jobs) ? kept : undefined;
  } catch {
    return undefined;
  }
}

// What is known of files (digests, includes), kept from daemon to daemon: a second build then reads and scans only what
// changed. Every record is checked against stat before it is believed, so a lost or stale file costs time, nothing else.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IncludeView } from '../includes/types.ts';

const fileName = 'scans';

export function loadScans(view: IncludeView, cacheDir: string): void {
  try {
    view.load(readFileSync(join(cacheDir, fileName)));
  } catch {
    // None yet, or not readable: everything is scanned anew.
  }
}

/** Writes them if anything was read since `loadScans`. */
export function saveScans(view: IncludeView, cacheDir: string): void {
  if (view.counts().filesRead === 0) return;
  try {
    mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
    const temporary = join(cacheDir, `${fileName}.${process.pid}`);
    writeFileSync(temporary, view.save(), { mode: 0o600 });
    renameSync(temporary, join(cacheDir, fileName));
  } catch {
    // A full disk: the next daemon scans anew.
  }
}

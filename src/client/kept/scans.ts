// What is known of files (digests, includes), kept from daemon to daemon: a second build then reads and scans only what
// changed. Every record is checked against stat before it is believed, so a lost or stale file costs time, nothing else.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeKept } from '../../kept-file.ts';
import type { IncludeView } from '../../includes/types.ts';

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
  writeKept(join(cacheDir, fileName), () => view.save());
}

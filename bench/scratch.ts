// The bench's directory for one run: /tmp/shoalb-PID-…, removed on any exit; what a killed run left goes at the next start.
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './tidy.ts';

export function scratchDirectory(): string {
  for (const name of readdirSync(tmpdir())) {
    const maker = /^shoalb-(\d+)-/.exec(name)?.[1];
    if (maker !== undefined && !existsSync(`/proc/${maker}`)) remove(join(tmpdir(), name));
  }
  const scratch = mkdtempSync(join(tmpdir(), `shoalb-${process.pid}-`));
  atExit(() => remove(scratch));
  chmodSync(scratch, 0o755); // Peers' daemons run as users of their own.
  return scratch;
}

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

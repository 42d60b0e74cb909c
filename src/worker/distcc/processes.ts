// What stock distccd's page of counters says of the box's processes: how many wait for a disk, and which has most memory.
import { readdirSync, readFileSync } from 'node:fs';

export type Processes = { readonly waiting: number; readonly largestKb: number; readonly largest: string };

/** Pure: of the content of /proc/PID/stat. */
export function processIn(stat: string): { readonly name: string; readonly state: string; readonly pages: number } {
  // The name may hold blanks and parentheses.
  const end = stat.lastIndexOf(')');
  const [state = '', ...fields] = stat.slice(end + 2).split(' ');
  return { name: stat.slice(stat.indexOf('('), end + 1), state, pages: Number(fields[20] ?? 0) };
}

const pageKb = 4;

/** Those that this process may see. */
export function processesNow(): Processes {
  let [waiting, largestKb, largest] = [0, 0, 'none'];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const { name, state, pages } = processIn(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      if (state === 'D') waiting += 1;
      if (pages * pageKb > largestKb) [largestKb, largest] = [pages * pageKb, name];
    } catch {
      // It has ended.
    }
  }
  return { waiting, largestKb, largest };
}

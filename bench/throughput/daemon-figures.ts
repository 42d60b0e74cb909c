// The client daemon's own figures, from /proc: it is one of several processes of its side, and ends with its build.
import { readFileSync } from 'node:fs';
import type { CpuGroup } from '../cpu.ts';

export type DaemonFigures = { readonly peakMb: number; readonly cpuMs: number };

const everyMs = 100;
// USER_HZ is 100 on every Linux that Node runs on.
const tickMs = 10;

/** Looks at the daemon among the group's processes until it is stopped; gives what was seen last. */
export function watchDaemon(group: CpuGroup): { readonly stop: () => DaemonFigures } {
  let pid: number | undefined;
  let seen: DaemonFigures = { peakMb: Number.NaN, cpuMs: Number.NaN };
  const look = (): void => {
    pid ??= group.pids().find(isDaemon);
    if (pid !== undefined) seen = figuresOf(pid) ?? seen;
  };
  const timer = setInterval(look, everyMs);
  return {
    stop: () => {
      clearInterval(timer);
      return seen;
    },
  };
}

function isDaemon(pid: number): boolean {
  return read(pid, 'cmdline').split('\0').includes('daemon');
}

function figuresOf(pid: number): DaemonFigures | undefined {
  const peakKb = /^VmHWM:\s+(\d+) kB/m.exec(read(pid, 'status'))?.[1];
  const fields = read(pid, 'stat').split(') ')[1]?.split(' ');
  if (peakKb === undefined || fields === undefined) return undefined;
  return { peakMb: Number(peakKb) / 1024, cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs };
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

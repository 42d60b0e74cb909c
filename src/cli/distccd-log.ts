// Where distccd's log goes: syslog, a file, or standard error.
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import type { DistccdSettings } from '../distcc/distccd-options.ts';
import { levels, type Level, type LogLine } from '../distcc/log-lines.ts';

export type DistccdLog = {
  readonly write: (line: LogLine) => void;
  readonly close: () => Promise<void>;
};

// syslog's number for daemons, in the place of a priority where it belongs.
const daemonFacility = 3 << 3;
const closePatienceMs = 2000;

const labels: Readonly<Partial<Record<Level, string>>> = {
  critical: 'CRITICAL! ',
  error: 'ERROR: ',
  warning: 'Warning: ',
};

function lineText({ level, text }: LogLine): string {
  return `distccd[${process.pid}] ${labels[level] ?? ''}${text}\n`;
}

/** Undefined if the file cannot be written. */
export function openDistccdLog(where: DistccdSettings['log'], least: Level): DistccdLog | undefined {
  const sink = where.kind === 'file' ? fileLog(where.path) : where.kind === 'stderr' ? stderrLog() : syslog();
  if (sink === undefined) return undefined;
  return { ...sink, write: (line) => (levels[line.level] <= levels[least] ? sink.write(line) : undefined) };
}

function stderrLog(): DistccdLog {
  process.stderr.on('error', () => undefined);
  return { write: (line) => void process.stderr.write(lineText(line)), close: async () => Promise.resolve() };
}

/** Opened for each line: a log that was moved away is followed by a new one. */
function fileLog(path: string): DistccdLog | undefined {
  const append = (text: string): boolean => {
    try {
      appendFileSync(path, text, { mode: 0o644 });
      return true;
    } catch {
      return false;
    }
  };
  if (!append('')) return undefined;
  return { write: (line) => void append(lineText(line)), close: async () => Promise.resolve() };
}

/** Node has no datagrams over Unix sockets, and `logger` is on every box that has syslog. */
function syslog(): DistccdLog {
  const child = spawn('logger', ['--prio-prefix', '--tag', `distccd[${process.pid}]`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  let instead: DistccdLog | undefined;
  child.on('error', () => (instead = stderrLog()));
  child.stdin.on('error', () => undefined);
  const write = (line: LogLine): void => {
    if (instead !== undefined) return instead.write(line);
    child.stdin.write(`<${daemonFacility | levels[line.level]}>${labels[line.level] ?? ''}${line.text}\n`);
  };
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      if (child.exitCode !== null || instead !== undefined) return resolve();
      setTimeout(() => child.kill('SIGKILL'), closePatienceMs).unref();
      child.on('close', () => resolve());
      child.stdin.end();
    });
  return { write, close };
}

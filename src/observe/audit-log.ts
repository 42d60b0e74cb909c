// Who did what on this worker, as JSON lines: one object a line, `time` and `event` first. Written for programs (jq,
// logrotate, a collector): names of fields stay. Never in it: command lines, environments, names or contents of files,
// codes, keys.
//
// Lines are gathered and written about once a second, so a worker that is killed loses the last second. A disk that is
// full, or slow, costs lines and never a job: they are dropped, and the next one that can be written says how many.
import { constants, lstatSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Peer } from '../trust/peer.ts';
import type { Clock } from './clock.ts';

export type AuditEvent =
  | { readonly event: 'started'; readonly addresses: readonly string[] }
  | { readonly event: 'stopped' }
  | {
      readonly event: 'job';
      readonly peer: Peer;
      /** Of the Action, in hex; distcc's clients send none. */
      readonly action: string | undefined;
      readonly toolchain: string | undefined;
      readonly result: JobResult;
    }
  /** A call that its caller may not make, or that makes no sense. */
  | { readonly event: 'refused'; readonly peer: Peer; readonly call: string; readonly why: string }
  /** A connection that was not let in. */
  | { readonly event: 'peer-refused'; readonly address: string; readonly name?: string; readonly why: string }
  | { readonly event: 'joined'; readonly address: string; readonly name: string; readonly role: string }
  | { readonly event: 'join-refused'; readonly address: string; readonly name?: string; readonly why: string }
  | { readonly event: 'revoked'; readonly name: string; readonly serial?: string };

export type JobResult =
  | {
      readonly kind: 'ran';
      readonly exitCode: number;
      readonly cpuMs: number;
      readonly wallMs: number;
      readonly peakKb: number;
      readonly outputBytes: number;
    }
  /** Given from the cache, or from a run that another call had begun. */
  | { readonly kind: 'cached' | 'shared'; readonly exitCode: number; readonly outputBytes: number }
  /** Nobody waited for it any more. */
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly why: string };

export type AuditLog = {
  readonly audit: (event: AuditEvent) => void;
  /** The file was moved away: the next lines go to a new one. It is noticed anyway, a little later. */
  readonly reopen: () => void;
  /** Resolves when what came before is written, or dropped. */
  readonly flush: () => Promise<void>;
  readonly close: () => Promise<void>;
};

export type AuditOptions = {
  readonly path: string;
  readonly clock: Clock;
  /** The time of day, in milliseconds. */
  readonly now: () => number;
};

const gatherMs = 1000;
// Some 4000 jobs of one second.
const mostGathered = 1 << 20;
const mostText = 300;

function whoOf(peer: Peer): Readonly<Record<string, string>> {
  switch (peer.kind) {
    case 'local':
      return { client: 'local' };
    case 'member':
      return { client: 'member', name: peer.name, role: peer.role, serial: peer.serial };
    case 'stranger':
      return {
        client: 'stranger',
        address: peer.address,
        ...(peer.principal !== undefined && { principal: peer.principal }),
      };
  }
}

// A peer chose some of these texts: they are bounded, and JSON keeps them on one line.
const bounded = (_key: string, value: unknown): unknown =>
  typeof value === 'string' && value.length > mostText ? `${value.slice(0, mostText)}…` : value;

export function lineOf(event: AuditEvent, timeMs: number): string {
  const time = new Date(timeMs).toISOString();
  if (event.event !== 'job' && event.event !== 'refused') return `${JSON.stringify({ time, ...event }, bounded)}\n`;
  const { event: name, peer, ...rest } = event;
  if (!('result' in rest)) return `${JSON.stringify({ time, event: name, ...whoOf(peer), ...rest }, bounded)}\n`;
  const { action, toolchain, result } = rest;
  const { kind, ...figures } = result;
  return `${JSON.stringify({ time, event: name, ...whoOf(peer), action, toolchain, result: kind, ...figures }, bounded)}\n`;
}

/** A log for a worker that keeps none. */
export const noAudit: AuditLog = {
  audit: () => undefined,
  reopen: () => undefined,
  flush: async () => Promise.resolve(),
  close: async () => Promise.resolve(),
};

// Ours, and a plain file: a link or a FIFO at that name would lead elsewhere, or hold us up.
const openFlags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function openAuditLog({ path, clock, now }: AuditOptions): AuditLog {
  let gathered: string[] = [];
  let gatheredBytes = 0;
  let dropped = 0;
  let file: FileHandle | undefined;
  let inode = 0;
  // The last line in the file was cut short by a full disk.
  let torn = false;
  let timer: { readonly cancel: () => void } | undefined;
  let writing: Promise<void> = Promise.resolve();

  const current = async (): Promise<FileHandle> => {
    if (file !== undefined && lstatSync(path, { throwIfNoEntry: false })?.ino === inode) return file;
    await letGo();
    const opened = await open(path, openFlags, 0o600);
    const found = await opened.stat();
    if (!found.isFile()) {
      await opened.close();
      throw new Error(`${path} is no file`);
    }
    inode = found.ino;
    return (file = opened);
  };

  const letGo = async (): Promise<void> => {
    const old = file;
    file = undefined;
    torn = false;
    await old?.close().catch(() => undefined);
  };

  const write = async (lines: readonly string[]): Promise<void> => {
    const lost = dropped;
    const notes =
      lost > 0 ? [`${JSON.stringify({ time: new Date(now()).toISOString(), event: 'dropped', lines: lost })}\n`] : [];
    let begun = false;
    try {
      const to = await current();
      const bytes = Buffer.from((torn ? '\n' : '') + [...notes, ...lines].join(''));
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await to.write(bytes, at);
        begun = true;
        at += bytesWritten;
      }
      torn = false;
      dropped -= lost;
    } catch {
      torn ||= begun;
      dropped += lines.length;
    }
  };

  const flush: AuditLog['flush'] = () => {
    timer?.cancel();
    timer = undefined;
    const lines = gathered;
    gathered = [];
    gatheredBytes = 0;
    if (lines.length > 0) writing = writing.then(() => write(lines));
    return writing;
  };

  const audit: AuditLog['audit'] = (event) => {
    const line = lineOf(event, now());
    if (gatheredBytes + line.length > mostGathered) {
      dropped += 1;
      return;
    }
    gathered.push(line);
    gatheredBytes += line.length;
    timer ??= clock.after(gatherMs, () => void flush());
  };

  const reopen: AuditLog['reopen'] = () => {
    writing = writing.then(letGo);
  };

  const close: AuditLog['close'] = async () => {
    await flush();
    await letGo();
  };

  return { audit, reopen, flush, close };
}

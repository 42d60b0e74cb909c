// What the command line asks of the daemon, as JSON over the daemon's socket. Pure types and one checked parser:
// the daemon takes nothing from its socket on trust.
import type { Summary } from '../observe/tally.ts';
import type { Settings } from './settings.ts';

export type ControlRequest =
  /**
   * Opens a build session; it ends with the connection, whatever becomes of the command line. Its progress is told
   * every `progressMs`, never if that is 0. `adopt`: the daemon was started by a compile of this build, in place of one
   * that died, and is to end with the build.
   */
  | {
      readonly op: 'session';
      readonly settings: Settings;
      readonly cwd: string;
      readonly progressMs: number;
      readonly adopt: boolean;
    }
  | { readonly op: 'status' }
  | { readonly op: 'stop' };

/** What the session's owner writes on its open connection when its command has ended. */
export type SessionEnd = { readonly op: 'end' };

export type HostStatus = {
  readonly name: string;
  readonly state: string;
  readonly slots: number;
  readonly inFlight: number;
  readonly jobs: number;
  readonly failures: number;
  readonly why: string;
};

export type Status = {
  readonly pid: number;
  readonly version: string;
  readonly hosts: readonly HostStatus[];
  readonly sessions: number;
  readonly inFlight: number;
  readonly totals: { readonly remote: number; readonly cached: number; readonly local: number };
};

export type Progress = {
  readonly running: number;
  readonly here: number;
  readonly remote: number;
  readonly cached: number;
  readonly local: number;
  readonly slots: number;
};

export type ControlAnswer =
  | {
      readonly kind: 'session';
      readonly id: string;
      readonly pid: number;
      readonly slots: number;
      /** Hosts that can be reached now; where none, `why` says what to do. */
      readonly workers: number;
      readonly why: string;
    }
  | { readonly kind: 'progress'; readonly progress: Progress }
  /** `stopping`: the daemon was started for builds, this was the last, and it ends once this connection is closed. */
  | { readonly kind: 'summary'; readonly summary: Summary; readonly stopping: boolean }
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'stopping'; readonly pid: number }
  | { readonly kind: 'error'; readonly message: string };

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function parseSettings(value: unknown): Settings | undefined {
  if (!isObject(value)) return undefined;
  const { hosts, strict, resultCache } = value;
  if (hosts !== undefined && typeof hosts !== 'string') return undefined;
  if (typeof strict !== 'boolean' || typeof resultCache !== 'boolean') return undefined;
  return { hosts, strict, resultCache };
}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

// Faster than this nobody reads.
const leastProgressMs = 100;

function progressPeriod(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.max(leastProgressMs, value) : 0;
}

export function parseControlRequest(body: Buffer): ControlRequest | undefined {
  const value = parseJson(body);
  if (!isObject(value)) return undefined;
  if (value['op'] === 'status' || value['op'] === 'stop') return { op: value['op'] };
  if (value['op'] !== 'session') return undefined;
  const settings = parseSettings(value['settings']);
  const cwd = value['cwd'];
  if (settings === undefined || typeof cwd !== 'string') return undefined;
  return {
    op: 'session',
    settings,
    cwd,
    progressMs: progressPeriod(value['progressMs']),
    adopt: value['adopt'] === true,
  };
}

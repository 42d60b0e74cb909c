// What the command line asks of the daemon, as JSON over the daemon's socket. Pure types and one checked parser:
// the daemon takes nothing from its socket on trust.
import type { Summary } from '../../observe/tally.ts';
import type { HostReport } from './host-report.ts';
import { isSessionId } from '../session/session.ts';
import { wayVariables, type Settings, type WayVariables } from '../session/settings.ts';
import type { JobTrail } from '../session/trail.ts';

export type ControlRequest =
  /**
   * Opens a build session; it ends with the connection, whatever becomes of the command line. Its progress is told
   * every `progressMs`, never if that is 0. `adopt`: the daemon was started by a compile of this build, in place of one
   * that died, and is to end with the build. `id` is then the one that its compiles know.
   */
  | {
      readonly op: 'session';
      readonly id: string;
      readonly settings: Settings;
      readonly cwd: string;
      readonly progressMs: number;
      readonly adopt: boolean;
    }
  | { readonly op: 'status' }
  /** The hosts of these settings, connected to if need be; the one named `forgive`, if any, is no longer set aside. */
  | { readonly op: 'hosts'; readonly settings: Settings; readonly forgive: string | undefined }
  /** What became of a compile of a build that is going on: the last, or the last of that source or object (absolute). */
  | { readonly op: 'explain'; readonly file: string | undefined }
  | { readonly op: 'stop' };

export type HostsRequest = Extract<ControlRequest, { readonly op: 'hosts' }>;
export type SessionRequest = Extract<ControlRequest, { readonly op: 'session' }>;

/** What the session's owner writes on its open connection when its command has ended. */
export type SessionEnd = { readonly op: 'end' };

export type Status = {
  readonly pid: number;
  readonly version: string;
  readonly hosts: readonly HostReport[];
  readonly sessions: number;
  readonly inFlight: number;
  /** Compiles running here, and those that wait until a slot is free here. */
  readonly here: number;
  readonly waiting: number;
  readonly totals: { readonly remote: number; readonly cached: number; readonly local: number };
};

export type Progress = {
  readonly running: number;
  readonly here: number;
  readonly waiting: number;
  readonly remote: number;
  readonly cached: number;
  readonly local: number;
  readonly slots: number;
};

export type ControlAnswer =
  | {
      readonly kind: 'session';
      readonly pid: number;
      readonly slots: number;
      /** Builds that are going on, this one among them. */
      readonly builds: number;
      /** Hosts that can be reached now; where none, `why` says what to do. */
      readonly workers: number;
      readonly why: string;
    }
  | { readonly kind: 'progress'; readonly progress: Progress }
  /** `stopping`: the daemon was started for builds, this was the last, and it ends once this connection is closed. */
  | { readonly kind: 'summary'; readonly summary: Summary; readonly stopping: boolean }
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'hosts'; readonly hosts: readonly HostReport[] }
  | { readonly kind: 'explained'; readonly job: JobTrail | undefined }
  | { readonly kind: 'stopping'; readonly pid: number }
  | { readonly kind: 'error'; readonly message: string };

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function parseSettings(value: unknown): Settings | undefined {
  if (!isObject(value)) return undefined;
  const { hosts, mostFallbacks, proofShare, resultCache, way } = value;
  if (hosts !== undefined && typeof hosts !== 'string') return undefined;
  if (mostFallbacks !== undefined && typeof mostFallbacks !== 'number') return undefined;
  if (typeof resultCache !== 'boolean' || typeof proofShare !== 'number') return undefined;
  return { hosts, mostFallbacks, proofShare, resultCache, ...(isObject(way) && { way: parseWay(way) }) };
}

function parseWay(value: Readonly<Record<string, unknown>>): WayVariables {
  const set = wayVariables.flatMap((name) => {
    const text = value[name];
    return typeof text === 'string' ? [[name, text] as const] : [];
  });
  return Object.fromEntries(set);
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
  const { op, file, cwd } = value;
  if (op === 'status' || op === 'stop') return { op };
  if (op === 'explain') return { op, file: typeof file === 'string' ? file : undefined };
  const settings = parseSettings(value['settings']);
  if (settings === undefined) return undefined;
  if (op === 'hosts') {
    const { forgive } = value;
    return { op, settings, forgive: typeof forgive === 'string' ? forgive : undefined };
  }
  const { id } = value;
  if (op !== 'session' || typeof cwd !== 'string' || typeof id !== 'string' || !isSessionId(id)) return undefined;
  return {
    op,
    id,
    settings,
    cwd,
    progressMs: progressPeriod(value['progressMs']),
    adopt: value['adopt'] === true,
  };
}

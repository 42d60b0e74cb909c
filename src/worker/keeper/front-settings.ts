// What a front is told, as data: it comes over a command line.
import type { Commands } from '../actions/commands.ts';
import type { DistccServiceOptions } from '../distcc/service.ts';
import type { FrontGiven } from './keeper.ts';

export type FrontSettings = FrontGiven & {
  readonly slots: number;
  readonly weights: readonly (readonly [client: string, weight: number])[];
  readonly jobMemoryBytes?: number;
  readonly commands?: Commands;
  readonly contain?: 'none';
  readonly hasIdentity: boolean;
  readonly stateDir: string;
  readonly storeBytes: number;
  readonly insecure: boolean;
  readonly path: string | undefined;
  readonly distcc?: DistccSettings;
};

type OfService = Pick<DistccServiceOptions, 'allow' | 'list' | 'lifetimeMs' | 'idleMs' | 'sysroot' | 'auth'>;

/** What it serves to distcc's clients. */
export type DistccSettings = OfService & {
  /** Where compilers are looked for, if not where this worker does. */
  readonly pathEnv?: string | undefined;
  /** The last address is that of the page of counters. */
  readonly hasStats: boolean;
  /** `lines`: all, each after its level, for a keeper that has a log of its own. */
  readonly log: 'warnings' | 'lines';
  /** Ends this process when it had no connection for so long. */
  readonly endsAfterMs?: number | undefined;
};

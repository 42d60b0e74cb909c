// What a worker settles before anything else: whether it may listen there, and that the state directory is its own.
import { accessSync, chmodSync, constants, rmSync, statSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { makeDirectory } from '../make-directory.ts';
import type { LiveTrust } from '../trust/live-trust.ts';
import { stateDirFlaw } from '../trust/runtime-dir.ts';
import { lockState, type StateLock } from './state-lock.ts';

export type ListenAddress = {
  readonly host: string;
  readonly port: number;
  /** Where the port is taken, any other will do. */
  readonly orAnyPort?: boolean;
};

export type WorkerRefusal = {
  readonly kind: 'refused';
  readonly reason: 'insecure' | 'identity' | 'state' | 'sandbox' | 'listen';
  readonly why: string;
};

type Exposure = {
  readonly listen: readonly ListenAddress[];
  readonly insecure: boolean;
  readonly trust?: Pick<LiveTrust, 'current'> | undefined;
};

/** Why a worker of this kind must not listen there. */
export function exposureRefusal({ listen, insecure, trust }: Exposure): WorkerRefusal | undefined {
  const now = trust?.current() ?? { kind: 'none' };
  if (now.kind === 'broken') {
    return { kind: 'refused', reason: 'identity', why: `the identity cannot be used: ${now.why}; ${now.remedy}` };
  }
  if (now.kind === 'farm') {
    const { name, role, farm } = now.identity;
    if (insecure) {
      const why =
        `this worker is ${name} in ${farm}, and serves its members: leave --insecure away, ` +
        'or give a --state of its own to a worker that everybody may use';
      return { kind: 'refused', reason: 'identity', why };
    }
    if (role !== 'client') return undefined;
    const why = `${name} is a client in ${farm}: a worker joins by a code of \`shoal pair --role worker\``;
    return { kind: 'refused', reason: 'identity', why };
  }
  const exposed = insecure ? undefined : listen.find(({ host }) => !isLoopback(host));
  return exposed === undefined ? undefined : insecureRefusal(exposed);
}

function insecureRefusal({ host, port }: ListenAddress): WorkerRefusal {
  const why =
    `${host}:${port} can be reached from other boxes, and this worker has no identity to tell friend from stranger. ` +
    'Make a farm with `shoal pair` (or `shoal worker` without --listen) on one box, join it with `shoal join CODE` on ' +
    'the others; or listen on 127.0.0.1; or give --insecure if everybody who reaches the address may compile here';
  return { kind: 'refused', reason: 'insecure', why };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Whether programs that stand there may be run. That nothing can be written is told where it matters. */
function mayRunPrograms(directory: string): boolean {
  const program = join(directory, `.program-${process.pid}`);
  try {
    writeFileSync(program, '', { mode: 0o700 });
  } catch {
    return true;
  }
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(program, { force: true });
  }
}

/** The state directory, made if absent, for one worker; with programs to be run from it, unless nothing is contained. */
export async function claimState(stateDir: string, contain?: 'none'): Promise<StateLock | WorkerRefusal> {
  try {
    // Slots are other users than root: they have to get through, not to look around.
    makeDirectory(stateDir, 0o711);
    // `shoal join` may have made it, for the identity alone.
    const { mode } = statSync(stateDir);
    if ((mode & 0o011) !== 0o011) chmodSync(stateDir, (mode & 0o777) | 0o011);
  } catch (error) {
    return { kind: 'refused', reason: 'state', why: `cannot make ${stateDir}: ${(error as Error).message}` };
  }
  const flaw = stateDirFlaw(stateDir);
  if (flaw !== undefined) {
    const why = `${flaw}: whoever can change ${stateDir} can change what is compiled; choose another place with --state`;
    return { kind: 'refused', reason: 'state', why };
  }
  if (contain !== 'none' && !mayRunPrograms(stateDir)) {
    const why = `no program may be run from ${stateDir}, where compilers are laid out for the sandbox: its file system is mounted noexec; choose another place with --state`;
    return { kind: 'refused', reason: 'state', why };
  }
  const lock = await lockState(stateDir);
  return lock.kind === 'busy' ? { kind: 'refused', reason: 'state', why: lock.why } : lock;
}

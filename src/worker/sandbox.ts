// A slot: one sandbox init that runs one job at a time, each in fresh namespaces. A slot that breaks, or whose job is
// cancelled, is killed with everything in it, and the next job starts it anew (1–2 ms).
import { spawn, type ChildProcess } from 'node:child_process';
import { encodeJob, newFrameReader } from './sandbox-codec.ts';
import type { Frame, SandboxJob, SandboxOutput, Trouble, Usage } from './sandbox-codec.ts';

export type { Addition, Limits, SandboxJob, SandboxOutput, SandboxRoot, Trouble, Usage } from './sandbox-codec.ts';

export type SandboxResult =
  | {
      readonly kind: 'ran';
      /** As from waitpid. */
      readonly waitStatus: number;
      readonly stdout: Buffer;
      readonly stderr: Buffer;
      readonly outputs: readonly SandboxOutput[];
      readonly usage: Usage;
      readonly trouble: readonly Trouble[];
    }
  /** The sandbox itself failed: nothing is known of the job. */
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'cancelled' };

export type SlotOptions = {
  readonly initPath: string;
  /** Lower directories are given relative to this; nothing else of the box is in reach of a job. */
  readonly stateDir: string;
  /** What a worker that is root becomes for this slot; a plain user stays what it is. */
  readonly runAs?: { readonly uid: number; readonly gid: number };
  /** For plain actions: the box's own directories can be shown to jobs. */
  readonly host: boolean;
};

export type Slot = {
  readonly run: (job: SandboxJob, signal?: AbortSignal) => Promise<SandboxResult>;
  readonly close: () => void;
};

export type SlotRefusal = { readonly kind: 'refused'; readonly why: string };

// Making the namespaces takes 1–2 ms; a box that swaps may need longer.
const startPatienceMs = 10_000;

type Init = {
  readonly child: ChildProcess;
  readonly onFrame: (listener: ((frame: Frame) => void) | undefined) => void;
  readonly onDeath: (listener: ((why: string) => void) | undefined) => void;
  dead: string | undefined;
};

function startInit({ initPath, stateDir, runAs, host }: SlotOptions): Init {
  const ids = runAs === undefined ? ['-', '-'] : [String(runAs.uid), String(runAs.gid)];
  const args = [stateDir, ...ids, ...(host ? ['host'] : [])];
  const child = spawn(initPath, args, { stdio: ['pipe', 'pipe', 'ignore'], env: {}, cwd: '/' });
  let listener: ((frame: Frame) => void) | undefined;
  let mourner: ((why: string) => void) | undefined;
  const init: Init = {
    child,
    onFrame: (next) => (listener = next),
    onDeath: (next) => (mourner = next),
    dead: undefined,
  };
  const die = (why: string): void => {
    if (init.dead !== undefined) return;
    init.dead = why;
    child.kill('SIGKILL');
    mourner?.(why);
  };
  const read = newFrameReader();
  child.stdout?.on('data', (chunk: Buffer) => {
    try {
      for (const frame of read(chunk)) listener?.(frame);
    } catch (error) {
      die((error as Error).message);
    }
  });
  child.stdin?.on('error', () => undefined);
  child.on('error', (error) => die(error.message));
  child.on('close', (code, signal) => die(`the sandbox ended (${signal ?? `status ${code}`})`));
  return init;
}

/** Waits for the slot's first word: that it is ready, or which step could not be done. */
function untilReady(init: Init): Promise<SlotRefusal | undefined> {
  return new Promise((resolve) => {
    const settle = (refusal: SlotRefusal | undefined): void => {
      clearTimeout(timer);
      init.onFrame(undefined);
      init.onDeath(undefined);
      resolve(refusal);
    };
    const refuse = (why: string): void => {
      settle({ kind: 'refused', why });
      init.child.kill('SIGKILL');
    };
    const timer = setTimeout(() => refuse(`no answer within ${startPatienceMs} ms`), startPatienceMs);
    init.onFrame((frame) => {
      if (frame.tag === 'ready') settle(undefined);
      else refuse(frame.tag === 'failed' ? frame.why : 'an unexpected answer');
    });
    init.onDeath(refuse);
  });
}

function runOn(init: Init, job: SandboxJob, signal: AbortSignal | undefined): Promise<SandboxResult> {
  const frame = encodeJob(job);
  return new Promise((resolve) => {
    let stdout: Buffer = Buffer.alloc(0);
    let stderr: Buffer = Buffer.alloc(0);
    const outputs: SandboxOutput[] = [];
    const trouble: Trouble[] = [];
    const settle = (result: SandboxResult): void => {
      signal?.removeEventListener('abort', cancel);
      init.onFrame(undefined);
      init.onDeath(undefined);
      resolve(result);
    };
    const cancel = (): void => {
      settle({ kind: 'cancelled' });
      init.child.kill('SIGKILL');
      init.dead = 'its job was cancelled';
    };
    signal?.addEventListener('abort', cancel, { once: true });
    init.onDeath((why) => settle({ kind: 'failed', why }));
    init.onFrame((answer) => {
      switch (answer.tag) {
        case 'stdout':
          stdout = answer.bytes;
          break;
        case 'stderr':
          stderr = answer.bytes;
          break;
        case 'output':
          outputs.push(answer.output);
          break;
        case 'trouble':
          trouble.push(answer.what);
          break;
        case 'failed':
          settle({ kind: 'failed', why: answer.why });
          break;
        case 'end':
          settle({ kind: 'ran', waitStatus: answer.waitStatus, stdout, stderr, outputs, usage: answer.usage, trouble });
          break;
        case 'ready':
          settle({ kind: 'failed', why: 'an unexpected answer' });
      }
    });
    init.child.stdin?.write(frame);
  });
}

/** What a box without the kernel's means can do about it. */
function refusalText(why: string): string {
  const hint = why.startsWith('user namespace')
    ? 'user namespaces are not permitted to this user: enable them (sysctl user.max_user_namespaces, ' +
      'kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run the worker as root'
    : 'inside a container this needs the right to make namespaces and mounts';
  return `compiles cannot be contained on this box: ${why}; ${hint}`;
}

/** Starts a slot, or says what this box lacks. A later death is mended by itself, at the next job. */
export async function startSlot(options: SlotOptions): Promise<Slot | SlotRefusal> {
  let init = startInit(options);
  const refusal = await untilReady(init);
  if (refusal !== undefined) return { kind: 'refused', why: refusalText(refusal.why) };
  let busy = false;
  const run: Slot['run'] = async (job, signal) => {
    if (busy) return { kind: 'failed', why: 'the slot is busy' };
    if (signal?.aborted === true) return { kind: 'cancelled' };
    busy = true;
    try {
      if (init.dead !== undefined) {
        init = startInit(options);
        const again = await untilReady(init);
        if (again !== undefined) {
          init.dead = again.why;
          return { kind: 'failed', why: again.why };
        }
      }
      return await runOn(init, job, signal);
    } finally {
      busy = false;
    }
  };
  return {
    run,
    close: () => {
      init.dead = 'closed';
      init.child.kill('SIGKILL');
    },
  };
}

export function isRefusal(slot: Slot | SlotRefusal): slot is SlotRefusal {
  return 'kind' in slot;
}

// A slot: one sandbox init that runs one job at a time, each in fresh namespaces. A slot that breaks is killed with
// everything in it, and the next job starts it anew (1–2 ms, and Node's 5 for starting any process).
import { boxFacts, refusalText } from './containment.ts';
import type { SlotGroup } from './control-groups.ts';
import { abortFrame, encodeJob, newFrameReader } from './codec.ts';
import type { Frame, SandboxJob, SandboxOutput, Trouble, Usage } from './codec.ts';
import { startSlotProcess, type SlotOptions } from './slot-process.ts';

export type { Addition, Limits, SandboxJob, SandboxOutput, SandboxRoot, Trouble, Usage } from './codec.ts';

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
  | { readonly kind: 'failed'; readonly why: string; readonly trouble?: Trouble }
  | { readonly kind: 'cancelled' };

export type Slot = {
  readonly run: (job: SandboxJob, signal?: AbortSignal) => Promise<SandboxResult>;
  /** Done when no process of the slot is left. */
  readonly close: () => Promise<void>;
};

export type SlotRefusal = { readonly kind: 'refused'; readonly why: string };

// Making the namespaces takes 1–2 ms; a box that swaps may need longer.
const startPatienceMs = 10_000;
// A job ends within a millisecond of its abort or its deadline, unless its init hangs; reading large outputs takes longer.
const abortPatienceMs = 5_000;
const deadlinePatienceMs = 60_000;
const longestTimerMs = 2 ** 31 - 1;

type Init = {
  readonly write: (bytes: Uint8Array) => void;
  readonly onFrame: (listener: ((frame: Frame) => void) | undefined) => void;
  readonly onDeath: (listener: ((why: string) => void) | undefined) => void;
  readonly kill: (why: string) => void;
  readonly dead: () => string | undefined;
  /** All its processes are gone. */
  readonly gone: Promise<void>;
};

function startInit(options: SlotOptions): Init {
  const slot = startSlotProcess(options);
  let listener: ((frame: Frame) => void) | undefined;
  let mourner: ((why: string) => void) | undefined;
  let dead: string | undefined;
  const kill = (why: string): void => {
    if (dead !== undefined) return;
    dead = why;
    slot.end();
    mourner?.(why);
  };
  const read = newFrameReader();
  slot.output.on('data', (chunk: Buffer) => {
    try {
      for (const frame of read(chunk)) listener?.(frame);
    } catch (error) {
      kill((error as Error).message);
    }
  });
  const gone = new Promise<void>((resolve) => {
    slot.onGone((why) => {
      kill(why);
      resolve();
    });
  });
  return {
    write: (bytes) => void slot.input.write(bytes),
    onFrame: (next) => (listener = next),
    onDeath: (next) => (mourner = next),
    kill,
    dead: () => dead,
    gone,
  };
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
      init.kill(why);
    };
    const timer = setTimeout(() => refuse(`no answer within ${startPatienceMs} ms`), startPatienceMs);
    init.onFrame((frame) => {
      if (frame.tag === 'ready') settle(undefined);
      else refuse(frame.tag === 'failed' ? frame.why : 'an unexpected answer');
    });
    init.onDeath(refuse);
  });
}

type Gathered = { stdout: Buffer; stderr: Buffer; outputs: SandboxOutput[]; trouble: Trouble[] };

/** Adds a frame to what is known of a job; the last one makes it a result. */
function resultOf(gathered: Gathered, frame: Frame): SandboxResult | undefined {
  switch (frame.tag) {
    case 'stdout':
      gathered.stdout = frame.bytes;
      return undefined;
    case 'stderr':
      gathered.stderr = frame.bytes;
      return undefined;
    case 'output':
      gathered.outputs.push(frame.output);
      return undefined;
    case 'trouble':
      gathered.trouble.push(frame.what);
      return undefined;
    case 'failed':
      return { kind: 'failed', why: frame.why };
    case 'end':
      return { kind: 'ran', waitStatus: frame.waitStatus, ...gathered, usage: frame.usage };
    case 'ready':
      return { kind: 'failed', why: 'an unexpected answer' };
  }
}

function runOn(init: Init, job: SandboxJob, signal: AbortSignal | undefined): Promise<SandboxResult> {
  const frame = encodeJob(job);
  return new Promise((resolve) => {
    const gathered: Gathered = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), outputs: [], trouble: [] };
    const hangs = (): void => init.kill('the sandbox does not answer');
    let timer = setTimeout(hangs, Math.min(job.limits.wallMs + deadlinePatienceMs, longestTimerMs));
    const settle = (result: SandboxResult): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      init.onFrame(undefined);
      init.onDeath(undefined);
      resolve(signal?.aborted === true ? { kind: 'cancelled' } : result);
    };
    const abort = (): void => {
      clearTimeout(timer);
      timer = setTimeout(hangs, abortPatienceMs);
      init.write(abortFrame);
    };
    signal?.addEventListener('abort', abort, { once: true });
    init.onDeath((why) => settle({ kind: 'failed', why }));
    init.onFrame((answer) => {
      const result = resultOf(gathered, answer);
      if (result !== undefined) settle(result);
    });
    init.write(frame);
  });
}

// A program that is not there: it fails at the very last step, after all those that a box may forbid.
const probe: SandboxJob = {
  root: { kind: 'exact', lowerDirs: [''] },
  additions: [],
  symlinks: [],
  directories: [],
  deletions: [],
  argv: ['/shoal-probe'],
  env: [],
  cwd: '/',
  outputs: [],
  limits: { wallMs: 10_000, cpuSeconds: 1, memoryBytes: 0, processes: 16, outputBytes: 1 << 16, diskBytes: 1 << 20 },
};

async function startWorking(options: SlotOptions): Promise<Init | SlotRefusal> {
  const init = startInit(options);
  const refusal = await untilReady(init);
  if (refusal !== undefined) {
    await init.gone;
    return refusal;
  }
  return init;
}

/** What the kernel killed for want of memory is no compile's failure, whatever the compiler's driver makes of it. */
async function withMemoryKills(
  group: Pick<SlotGroup, 'memoryKills'> | undefined,
  run: () => Promise<SandboxResult>,
): Promise<SandboxResult> {
  const before = group?.memoryKills() ?? 0;
  const result = await run();
  if ((group?.memoryKills() ?? 0) === before) return result;
  if (result.kind === 'failed') return { ...result, why: `${result.why}, out of memory`, trouble: 'memory' };
  return result.kind === 'ran' ? { ...result, trouble: ['memory', ...result.trouble] } : result;
}

// The kernel takes a job's tmpfs away behind its end; on a busy box some 100 ms have been seen.
const cleanPatienceMs = 5_000;
const cleanPauseMs = 5;
const cleanBytes = 1 << 20;

/** A job that met a bound may have filled its tmpfs: until that is gone, the next one would be killed in its place. */
async function untilClean(group: Pick<SlotGroup, 'tmpfsBytes'> | undefined): Promise<void> {
  const deadline = performance.now() + cleanPatienceMs;
  while ((group?.tmpfsBytes() ?? 0) > cleanBytes && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, cleanPauseMs));
  }
}

/** What the box has at a path was replaced since the slot began (a package was installed), and cannot be mounted any more. */
function isOutdated(result: SandboxResult): boolean {
  return result.kind === 'failed' && result.why.startsWith('mounting ');
}

/** Starts a slot, or says what this box lacks. A later death is mended by itself, at the next job. */
export async function startSlot(options: SlotOptions): Promise<Slot | SlotRefusal> {
  const started = await startWorking(options);
  if ('kind' in started) return { kind: 'refused', why: refusalText(started.why, boxFacts()) };
  let init = started;
  const root = options.contain === 'none' ? { ...probe.root, lowerDirs: [] } : probe.root;
  const probed = await runOn(init, { ...probe, root }, undefined);
  const isSound = probed.kind === 'failed' && probed.why.startsWith('executing ');
  if (!isSound) {
    init.kill('it is not sound');
    await init.gone;
    return { kind: 'refused', why: refusalText(probed.kind === 'failed' ? probed.why : 'the probe ran', boxFacts()) };
  }
  let isBusy = false;
  let isClosed = false;
  let mayBeFull = false;
  const runOnce = async (job: SandboxJob, signal: AbortSignal | undefined): Promise<SandboxResult> => {
    if (init.dead() !== undefined) {
      await init.gone;
      const again = await startWorking(options);
      if ('kind' in again) return { kind: 'failed', why: again.why };
      init = again;
      if (isClosed) init.kill('closed');
    }
    if (signal?.aborted === true) return { kind: 'cancelled' };
    if (init.dead() !== undefined) return { kind: 'failed', why: 'the slot is closed' };
    if (mayBeFull) await untilClean(options.group);
    const result = await withMemoryKills(options.group, () => runOn(init, job, signal));
    mayBeFull = result.kind !== 'ran' || result.trouble.length > 0;
    return result;
  };
  const runAlone = async (job: SandboxJob, signal: AbortSignal | undefined): Promise<SandboxResult> => {
    const result = await runOnce(job, signal);
    if (!isOutdated(result)) return result;
    init.kill('what it shows of this box has changed');
    return runOnce(job, signal);
  };
  const run: Slot['run'] = async (job, signal) => {
    if (isClosed) return { kind: 'failed', why: 'the slot is closed' };
    if (isBusy) return { kind: 'failed', why: 'the slot is busy' };
    isBusy = true;
    try {
      return await runAlone(job, signal);
    } finally {
      isBusy = false;
    }
  };
  const close = async (): Promise<void> => {
    isClosed = true;
    init.kill('closed');
    await init.gone;
  };
  return { run, close };
}

export function isRefusal(slot: Slot | SlotRefusal): slot is SlotRefusal {
  return 'kind' in slot;
}

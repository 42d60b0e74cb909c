// What a compile that was done tells: about the host, and about the work.
import type { Farm, Stay } from './farm.ts';
import { touch, type Place } from './host.ts';
import { paceFor, notePace, noteUnfinished, noteRoundTrip, noteTransfer, type HostRecord, type Known } from './pace.ts';
import { mostPeakKb, noteUsual, rememberWork, usualWork, type WorkMemory, type WorkName } from './work.ts';

/** Times in milliseconds, each as one clock has measured it. */
export type Observed = {
  /** From the call to its answer, here. */
  readonly elapsedMs: number;
  /** All of it on the host, 0 where the host does not say. */
  readonly hostMs: number;
  /** Of that, before the compiler was started. */
  readonly waitMs: number;
  readonly compileMs: number;
  readonly peakKb: number;
  /** What was sent ahead of the call, and waited for. */
  readonly transfer: { readonly bytes: number; readonly ms: number };
};

// Smaller transfers say more about the round trip than about the bandwidth.
const leastTransferBytes = 256 << 10;

/**
 * What a host says of its own time and memory, as far as it can be so: it took no longer than this box has waited, and needed
 * no more memory than the host has. More would keep the job from every other host, or make a mean that never comes down.
 */
function believable({ ready }: Place, told: Observed): Observed {
  const upTo = (most: number, said: number): number => (said > 0 ? Math.min(most, said) : 0);
  const hostMs = upTo(told.elapsedMs, told.hostMs);
  const ownKb = ready.memoryKb > 0 ? ready.memoryKb : mostPeakKb;
  return {
    ...told,
    hostMs,
    waitMs: upTo(hostMs, told.waitMs),
    compileMs: upTo(told.elapsedMs, told.compileMs),
    peakKb: upTo(Math.min(mostPeakKb, ownKb), told.peakKb),
  };
}

export function noteDone(farm: Farm, place: Place, told: Observed): void {
  touch(place.host);
  const { host, work, expected } = place;
  const { record } = host;
  const observed = believable(place, told);
  const { compileMs, peakKb, transfer } = observed;
  if (transfer.bytes >= leastTransferBytes) noteTransfer(record, transfer);
  if (observed.hostMs > 0) noteRoundTrip(record, observed.elapsedMs - transfer.ms - observed.hostMs);
  if (compileMs > 0) {
    noteCompile(farm.memory.works, work, { compileMs, by: record, peakKb });
  }
  // A slot was free as far as this client knows: what the job waited for is others' work.
  if (expected.queueMs === 0 || host.others.waitMs > 0) {
    const waitMs = Math.max(0, observed.waitMs - expected.queueMs);
    host.others = { waitMs: waitMs < 1 ? 0 : waitMs, seenMs: farm.world.clock.nowMs() };
  }
}

/** Another place was done first. Who does long work slowly would otherwise seem fast, since only its short work is seen. */
export function noteOvertaken(farm: Farm, { host, work, expected, sentMs }: Place): void {
  const { works } = farm.memory;
  const ranMs = farm.world.clock.nowMs() - sentMs - expected.queueMs - expected.roundTripMs;
  const usualMs = usualWork(works, work);
  if (ranMs <= 0 || usualMs === undefined || work.known) return;
  noteUnfinished(host.record, work.kind, { ranMs, usualMs });
  noteUsual(works, ranMs / usualMs / paceFor(host.record, work.kind), 'unfinished');
  touch(host);
}

// What it needs here is not measured. A host's word for more than any has, or a source that has shrunk, is doubted a little
// more with each build, so that the compile travels again; one that does need it is found out to each third or fourth time.
const stillBelieved = 0.75;

/** A compile that the farm could have done was done here; `needKb` is what was thought to be too much for the hosts. */
export function noteHere(farm: Farm, { work }: Pick<Stay, 'work'>, compileMs: number, needKb = 0): void {
  const { home, works } = farm.memory;
  if (compileMs <= 0) return;
  const peakKb = Math.ceil(needKb > work.peakKb ? needKb : stillBelieved * needKb);
  noteCompile(works, work, { compileMs, by: home, peakKb });
}

type Compiled = { readonly compileMs: number; readonly by: HostRecord; readonly peakKb: number };

function noteCompile(works: WorkMemory, work: WorkName, compiled: Compiled): void {
  const { compileMs, by } = compiled;
  const known = knownBeside(works, work, by);
  notePace(by, work.kind, { compileMs, known });
  if (known?.kind === 'usual') noteUsual(works, compileMs / known.ms / paceFor(by, work.kind), 'done');
  rememberWork(works, work, compiled);
}

function knownBeside(works: WorkMemory, name: WorkName, by: HostRecord): Known | undefined {
  const before = works.past.get(name.key);
  if (before === undefined) {
    const ms = usualWork(works, name);
    return ms === undefined ? undefined : { kind: 'usual', ms };
  }
  if (before.by === by) return undefined;
  return before.by === undefined ? { kind: 'work', ms: before.ms } : { kind: 'before', ms: before.ms, by: before.by };
}

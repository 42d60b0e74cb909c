// One compile's way through the client, top to bottom. Every step either goes on or ends the job with a named reason;
// a job that ends so is run here, by the launcher, in the place where the user started it.
//
//   1 understand   same root, a known compiler, a command line and an environment that can travel
//   2 closure      every file the compile can read
//   3 tree         the input root
//   4 send         a host, and the blobs it lacks
//   5 execute      there; elsewhere if the host fails; then home
//   6 look again   what it read is still on the disk, or it begins anew at 2
//   7 answer       the outputs, checked, for the launcher to write
import { resolve } from 'node:path';
import type { Farm, PlaceRequest, Stay } from '../../farm/farm.ts';
import { leaveHome, takePlace } from '../../farm/places.ts';
import type { Host, Place } from '../../farm/host.ts';
import { noteHere } from '../../farm/learn.ts';
import { readSize } from '../../farm/kind.ts';
import { expectedWork, mostPeakKb, type Work, type WorkName } from '../../farm/work.ts';
import { FileChangedError } from '../../includes/types.ts';
import type { Digest } from '../../reapi/digest.ts';
import { isFallback } from '../../observe/tally.ts';
import { makeAction, type PlannedAction } from '../plan/action.ts';
import { closureStands, findClosure, layInputs, type JobClosure } from '../plan/closure.ts';
import { distccBytes, mayGoByDistcc, mayGoPreprocessed, type DistccJob } from '../distcc/request.ts';
import { blame, noteSuccess } from '../attempt/faults.ts';
import { resultKey } from '../kept/result-key.ts';
import type { JobAnswer } from './answer.ts';
import type { LauncherRequest } from '../launcher-wire.ts';
import { removePath } from '../plan/input-tree.ts';
import type { Preprocess } from '../distcc/preprocess.ts';
import { mayProve } from './proof.ts';
import { executeAt } from './race.ts';
import { completedFrom } from './outputs.ts';
import type { RunHere } from '../plan/run-here.ts';
import { understandJob, type UnderstoodJob } from '../plan/understand.ts';
import type { Session } from '../session/session.ts';
import { addToTrail, newDraft, sourceWord, trailOf, type Draft, type TrailEnd } from '../session/trail.ts';
import type { ClientWorld } from '../world.ts';

// A job goes to at most this many hosts before it comes home: each failure has cost its upload and its wait.
const mostHosts = 3;

export async function runJob(
  world: ClientWorld,
  session: Session,
  job: {
    readonly request: LauncherRequest;
    readonly signal: AbortSignal;
    /** By the launcher, for hosts that take preprocessed source. */
    readonly preprocess?: Preprocess;
    /** An error of ours: the compile runs here. */
    readonly onError: (error: unknown) => void;
    /** The job goes to that host. */
    readonly onPlace?: (host: string) => void;
  },
): Promise<JobAnswer> {
  const draft = newDraft(world.clock.nowMs());
  if (job.onPlace !== undefined) draft.onPlace = job.onPlace;
  const sent = await sendJob(world, session, { ...job, draft }).catch((error: unknown): RunHere => {
    job.onError(error);
    return { kind: 'here', reason: 'client-failed', detail: (error as Error).message };
  });
  const answer = underStrict(session, sent);
  return recorded(world, session, { answer, draft, request: job.request });
}

type Ended = { readonly answer: JobAnswer; readonly draft: Draft; readonly request: LauncherRequest };

/** Notes for `shoal explain` what became of the job; of one that runs here, also when it ends. */
function recorded({ clock }: ClientWorld, session: Session, { answer, draft, request }: Ended): JobAnswer {
  const sinceStart = (): number => Math.round(clock.nowMs() - session.startedMs);
  const source = resolve(request.cwd, sourceWord(request.argv));
  const trail = trailOf(draft, { source, buildStartedMs: session.startedMs }, trailEnd(answer, sinceStart()));
  addToTrail(session.trail, trail);
  const staysHere = (why: RunHere): RunHere => {
    trail.end = trailEnd(why, sinceStart());
    const ended = (seconds: number): void => {
      if (trail.end.kind === 'here') trail.end = { ...trail.end, endedMs: sinceStart() };
      why.ended?.(seconds);
    };
    return { ...why, ended, needKb: draft.needKb };
  };
  if (answer.kind === 'here') return staysHere(answer);
  return answer.kind === 'completed' ? { ...answer, unwritten: () => staysHere(unwritable) } : answer;
}

const unwritable: RunHere = { kind: 'here', reason: 'output-unwritable', detail: '' };

function trailEnd(answer: JobAnswer, endedMs: number): TrailEnd {
  switch (answer.kind) {
    case 'here':
      return { kind: 'here', reason: answer.reason, detail: answer.detail, endedMs: undefined };
    case 'refused':
      return { kind: 'refused', reason: answer.reason, detail: answer.detail, endedMs };
    case 'completed':
      return { ...answer.end, endedMs };
  }
}

/** In strict mode what could run elsewhere and does not is refused, whyever. */
function underStrict(session: Session, answer: JobAnswer): JobAnswer {
  if (answer.kind !== 'here' || session.settings.mostFallbacks !== 0 || !isFallback(answer.reason)) return answer;
  return { kind: 'refused', reason: answer.reason, detail: answer.detail };
}

// A file that changes each time a job is planned is being written for longer than a compile takes.
const mostPlans = 3;

async function sendJob(
  world: ClientWorld,
  session: Session,
  {
    request,
    signal,
    draft,
    preprocess,
  }: {
    readonly request: LauncherRequest;
    readonly signal: AbortSignal;
    readonly draft: Draft;
    readonly preprocess?: Preprocess;
  },
): Promise<JobAnswer> {
  if (request.notUtf8 !== undefined) return { kind: 'here', reason: 'path-encoding', detail: request.notUtf8 };
  const { epochs } = world;
  const arrival = epochs.arrive();
  const understood = await understandJob(world, request);
  if (understood.kind === 'here') return understood;
  const { job } = understood;
  draft.object = job.outputs[0]?.target;
  let epoch = epochs.running();
  let isFresh = epochs.isSince(epoch, arrival);
  for (let plans = 0; plans < mostPlans; plans += 1) {
    const planned = planAction(world, session, { job, epoch });
    const sending = { understood: job, signal, draft, preprocess };
    // What is preprocessed now is as it was when the job came, or younger.
    if (planned.kind === 'here' && mayGoPreprocessed(job, planned.reason) && hasDistcc(session.farm, preprocess))
      return executeSomewhere(world, session, { ...sending, ...unplanned, why: planned });
    const answer =
      planned.kind === 'here' ? planned : await executeSomewhere(world, session, { ...sending, ...planned });
    if (answer.kind === 'here' && answer.reason === 'file-changed') {
      // Its content is gone: neither this job nor another that shares the layer can be given it.
      if (session.layer.present.has(answer.detail)) removePath(session.layer, answer.detail);
      epoch = epochs.begin();
    } else {
      // A compile that failed elsewhere rests on its plan, too: a header may have come that was not there at that look.
      const isOfFarm =
        planned.kind === 'planned' && answer.kind === 'here' && answer.reason !== 'remote-compile-failed';
      if (isFresh || isOfFarm) return answer;
      epoch = epochs.since(arrival);
      if (planned.kind === 'planned' && closureStands(world, session, { job, closure: planned.closure, epoch }))
        return answer;
    }
    isFresh = true;
  }
  return { kind: 'here', reason: 'file-changed', detail: job.unit.source };
}

type Planned = {
  readonly kind: 'planned';
  readonly closure: JobClosure;
  readonly action: PlannedAction;
  readonly key: string | undefined;
};

/** Closure, tree and action. No wait inside: what was looked at is of one moment. */
function planAction(
  world: ClientWorld,
  session: Session,
  at: { readonly job: UnderstoodJob; readonly epoch: number },
): Planned | RunHere {
  try {
    const closure = findClosure(world, session, at);
    if (closure.kind === 'here') return closure;
    const root = layInputs(world, session.layer, closure);
    const action = makeAction(at.job, root);
    const key = session.settings.resultCache ? resultKey(action.command, closure) : undefined;
    return { kind: 'planned', closure, action, key };
  } catch (error) {
    if (error instanceof FileChangedError) return { kind: 'here', reason: 'file-changed', detail: error.path };
    throw error;
  }
}

/** What it reads is not known: only hosts that take preprocessed source can do it. */
type Unplanned = Readonly<Record<'closure' | 'action' | 'key', undefined>> & { readonly why: RunHere };

const unplanned = { kind: 'unplanned', closure: undefined, action: undefined, key: undefined } as const;

function hasDistcc({ world, hosts }: Farm, preprocess: Preprocess | undefined): boolean {
  if (world.distcc === undefined || preprocess === undefined) return false;
  return hosts.some(({ spec }) => spec.address.kind === 'distcc');
}

type Sending = (Planned | (Unplanned & { readonly kind: 'unplanned' })) & {
  readonly understood: UnderstoodJob;
  readonly signal: AbortSignal;
  readonly draft: Draft;
  readonly preprocess: Preprocess | undefined;
};

/** The job as hosts of distcc can do it, if it is one. */
function distccJobOf({ world }: Farm, { understood, closure, preprocess }: Sending): DistccJob | undefined {
  const way = world.distcc;
  if (way === undefined || preprocess === undefined || !mayGoByDistcc(understood)) return undefined;
  return { understood, closure, preprocess, way, made: undefined };
}

async function executeSomewhere(world: ClientWorld, session: Session, sending: Sending): Promise<JobAnswer> {
  const { farm } = session;
  const { action, key, understood, signal, draft } = sending;
  const { resultCache } = session.settings;
  const earlier = key === undefined ? undefined : world.results.recall(key);
  const distcc = distccJobOf(farm, sending);
  const known = expectedWork(farm.memory.works, workNameOf(understood, sending.closure));
  let work = known;
  let tried: ReadonlySet<Host> = new Set();
  let last: RunHere | undefined;
  while (tried.size < mostHosts) {
    const request = placeRequest(session, sending, { work, tried, distcc });
    const choice = await takePlace(farm, request);
    draft.decision ??= choice.decision;
    draft.needKb = work.peakKb;
    if (choice.kind === 'none')
      return notedHere(
        farm,
        { known, needed: work },
        last ?? stayOf(sending) ?? { kind: 'here', reason: choice.reason, detail: choice.detail },
      );
    if (choice.kind === 'here') return chosenHere(farm, choice.stay);
    draft.onPlace?.(choice.place.host.spec.name);
    const execution = {
      action,
      earlier,
      signal,
      resultCache,
      clock: world.clock,
      traffic: session.traffic,
      distcc,
      env: understood.request.env,
    };
    const { end, place, attempts, hosts } = await executeAt(farm, choice.place, request, execution);
    draft.attempts.push(...attempts);
    tried = new Set([...tried, ...hosts]);
    const answer = end.kind === 'done' ? await completedFrom(understood, place.host, end) : end;
    if (signal.aborted) return { kind: 'here', reason: 'interrupted', detail: '' };
    if (answer.kind === 'job-fault') return { kind: 'here', reason: answer.reason, detail: answer.detail };
    if (answer.kind !== 'host-fault') {
      if (answer.kind === 'completed' && end.kind === 'done') {
        noteSuccess(place.host);
        if (end.action !== undefined) noteResult(world, session, { sending, end: end.action, answer, place });
      }
      return answer;
    }
    if (end.kind === 'done') blame(place, farm.world, answer);
    if (answer.reason === 'worker-full') work = needingMore(work, place);
    draft.needKb = work.peakKb;
    last = { kind: 'here', reason: answer.reason, detail: `${place.host.spec.name}: ${answer.detail}` };
  }
  return notedHere(farm, { known, needed: work }, last ?? { kind: 'here', reason: 'worker-failed', detail: '' });
}

/** No host there could be sent it: it stays for the reason that it would without any. */
function stayOf(sending: Sending): RunHere | undefined {
  return sending.kind === 'unplanned' ? sending.why : undefined;
}

type Result = {
  readonly sending: Sending;
  readonly end: Digest;
  readonly answer: Extract<JobAnswer, { readonly kind: 'completed' }>;
  readonly place: Place;
};

/** For the next time; and it may be proved. What a host of distcc gives is approximate, and proves nothing. */
function noteResult(world: ClientWorld, session: Session, { sending, end, answer, place }: Result): void {
  const { understood, closure, key } = sending;
  if (closure === undefined) return;
  if (key !== undefined && succeeded(answer)) world.results.remember(key, end);
  const { completed } = answer;
  mayProve(world, session, { job: understood, closure, host: place.host, completed, chance: world.chance() });
}

/** What was too large for the hosts is known to be when it is built again. */
function notedHere(
  farm: Farm,
  { known, needed }: { readonly known: Work; readonly needed: Work },
  here: RunHere,
): RunHere {
  if (here.reason !== 'worker-full') return here;
  return { ...here, ended: (seconds) => noteHere(farm, { work: known }, seconds * 1000, needed.peakKb) };
}

/** Its memory or its disk was not enough: a larger host is tried next, or one that has nothing else to do. */
function needingMore(work: Work, { ready }: Place): Work {
  const peakKb = Math.max(2 * work.peakKb, Math.ceil(ready.memoryKb / ready.slots));
  return { ...work, peakKb: Math.min(mostPeakKb, peakKb) };
}

function placeRequest(
  session: Session,
  { kind, understood, signal }: Sending,
  { work, tried, distcc }: Pick<PlaceRequest, 'work' | 'tried'> & { readonly distcc: DistccJob | undefined },
): PlaceRequest {
  return {
    build: session.id,
    toolchain: understood.toolchain.digest,
    work,
    tried,
    // Sent once, for all jobs of the build: each is charged its share, or all would wait for the first host that has it.
    inputBytes: Math.ceil(session.layer.sizeBytes / Math.max(1, session.jobs.size)),
    distccBytes: distcc === undefined ? undefined : distccBytes(distcc.closure),
    mayRunHere: session.settings.mostFallbacks === undefined,
    onlyDistcc: kind === 'unplanned',
    signal,
  };
}

/** Every slot of the farm is busy, and this box would be done first. */
function chosenHere(farm: Farm, stay: Stay): RunHere {
  const ended = (seconds: number): void => {
    noteHere(farm, stay, seconds * 1000);
    leaveHome(farm, stay);
  };
  return { kind: 'here', reason: 'sooner-here', detail: '', ended };
}

/** A build names each object once; how it is optimised says as much about its time as its language. */
function workNameOf({ unit, outputs, request }: UnderstoodJob, closure: JobClosure | undefined): WorkName {
  const optimised = request.argv.some((word) => /^-O([1-9sz]|fast)?$/.test(word) && word !== '-O0');
  const size = readSize(distccBytes(closure), closure?.source.digest.sizeBytes ?? 0);
  return { key: outputs[0]?.target ?? unit.source, kind: optimised ? `${unit.language} -O` : unit.language, size };
}

function succeeded(answer: JobAnswer): boolean {
  return answer.kind === 'completed' && answer.completed.waitStatus === 0;
}

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
import { giveBack, takePlace } from '../farm/farm.ts';
import { troubleWith, type Host, type ReadyHost } from '../farm/host.ts';
import { FileChangedError } from '../includes/types.ts';
import type { ReasonId } from '../observe/reasons.ts';
import type { JobEnd } from '../observe/tally.ts';
import { isFallback } from '../observe/tally.ts';
import { makeAction, type PlannedAction } from './action.ts';
import { closureStands, findClosure, layInputs, type JobClosure } from './closure.ts';
import { executeOn, type Execution } from './execute.ts';
import { resultKey } from './result-key.ts';
import type { Completed, LauncherRequest } from './launcher-wire.ts';
import { removePath } from './input-tree.ts';
import { completedFrom } from './outputs.ts';
import { understandJob, type UnderstoodJob } from './understand.ts';
import type { Session } from './session.ts';
import type { ClientWorld } from './world.ts';

/** A job that stays here, and why. */
export type RunHere = { readonly kind: 'here'; readonly reason: ReasonId; readonly detail: string };

export type JobAnswer =
  | RunHere
  | { readonly kind: 'completed'; readonly completed: Completed; readonly end: JobEnd }
  | { readonly kind: 'refused'; readonly reason: ReasonId; readonly detail: string };

// A job goes to at most this many hosts before it comes home: each failure has cost its upload and its wait.
const mostHosts = 2;

export async function runJob(
  world: ClientWorld,
  session: Session,
  job: { readonly request: LauncherRequest; readonly signal: AbortSignal },
): Promise<JobAnswer> {
  return underStrict(session, await sendJob(world, session, job));
}

/** In strict mode what could run elsewhere and does not is refused, whyever. */
export function underStrict(session: Session, answer: JobAnswer): JobAnswer {
  if (answer.kind !== 'here' || !session.settings.strict || !isFallback(answer.reason)) return answer;
  return { kind: 'refused', reason: answer.reason, detail: answer.detail };
}

// A file that changes each time a job is planned is being written for longer than a compile takes.
const mostPlans = 3;

async function sendJob(
  world: ClientWorld,
  session: Session,
  { request, signal }: { readonly request: LauncherRequest; readonly signal: AbortSignal },
): Promise<JobAnswer> {
  const { epochs } = world;
  const arrival = epochs.arrive();
  const understood = await understandJob(world, request);
  if (understood.kind === 'here') return understood;
  const { job } = understood;
  let epoch = epochs.running();
  let isFresh = epochs.isSince(epoch, arrival);
  for (let plans = 0; plans < mostPlans; plans += 1) {
    const planned = planAction(world, session, { job, epoch });
    const answer =
      planned.kind === 'here'
        ? planned
        : await executeSomewhere(world, session, { ...planned, understood: job, signal });
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

type Sending = Planned & { readonly understood: UnderstoodJob; readonly signal: AbortSignal };

async function executeSomewhere(world: ClientWorld, session: Session, sending: Sending): Promise<JobAnswer> {
  const { action, key, understood, signal } = sending;
  const earlier = key === undefined ? undefined : world.results.recall(key);
  const tried = new Set<Host>();
  let last: RunHere | undefined;
  while (tried.size < mostHosts) {
    const choice = await takePlace(session.farm, understood.toolchain.digest, tried);
    if (choice.kind === 'none') return last ?? { kind: 'here', reason: choice.reason, detail: choice.detail };
    tried.add(choice.host);
    const end = await executeInPlace(session, choice, { action, earlier, signal });
    if (signal.aborted) return { kind: 'here', reason: 'interrupted', detail: '' };
    if (end.kind === 'done') {
      const answer = await completedFrom(understood, choice.host, end);
      if (answer.kind === 'completed') {
        choice.host.failures = 0;
        choice.host.jobsDone += 1;
        if (key !== undefined && succeeded(answer)) world.results.remember(key, end.action);
        return answer;
      }
      if (answer.kind !== 'here' || answer.reason !== 'bad-answer') return answer;
      troubleWith(choice, session.farm.world, answer.detail);
      last = answer;
      continue;
    }
    if (end.kind === 'job-fault') return { kind: 'here', reason: end.reason, detail: end.detail };
    if (end.disconnect) troubleWith(choice, session.farm.world, end.detail);
    last = { kind: 'here', reason: end.reason, detail: `${choice.host.spec.name}: ${end.detail}` };
  }
  return last ?? { kind: 'here', reason: 'worker-failed', detail: '' };
}

function succeeded(answer: Extract<JobAnswer, { readonly kind: 'completed' }>): boolean {
  return answer.completed.waitStatus === 0;
}

async function executeInPlace(
  session: Session,
  { host, ready }: { readonly host: Host; readonly ready: ReadyHost },
  job: Omit<Execution, 'resultCache'>,
) {
  try {
    return await executeOn(ready, { ...job, resultCache: session.settings.resultCache });
  } finally {
    giveBack(host);
  }
}

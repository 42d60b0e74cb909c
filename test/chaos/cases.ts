// The fault matrix: what is done to the connection between a client and a worker, and how the build has to end.
import { grpcCode } from '../../src/reapi/errors.ts';
import { always, type AnswerAction, type ByteAction, type Fault, type Spot } from './fault.ts';

export type Case = {
  readonly name: string;
  readonly fault: Fault;
  /** `both`: the faulty worker and a sound one. `one`: the faulty one alone. */
  readonly hosts: 'both' | 'one';
  readonly ends: CaseEnd;
};

export type CaseEnd =
  /** Every compile ran on a worker. */
  | { readonly kind: 'on-workers' }
  /** Some came home, for some of these reasons. */
  | { readonly kind: 'home'; readonly reasons: readonly string[] };

const onWorkers: CaseEnd = { kind: 'on-workers' };

/** With those that ran on the same connection when the host had to rest, and those that came while it did. */
const home = (...reasons: readonly string[]): CaseEnd => {
  return { kind: 'home', reasons: [...reasons, 'worker-lost', 'no-worker'] };
};

// Calls of a connection: what the worker is, what it has, what it lacks, then uploads and executions.
const greeting = 1;
const toolchains = 2;
const question = 3;
const firstJobs = 4;
const laterJob = 9;

const breaks: readonly ByteAction[] = ['close', 'reset', 'repeat', 'alter'];
const bytes: readonly Spot['byte'][] = ['first', 'middle', 'last'];

/** Every direction, byte and way to break, over the calls in turn; a strike that comes once is mended elsewhere. */
function breakingOnce(): Case[] {
  const calls = [greeting, toolchains, question, firstJobs, laterJob];
  return (['up', 'down'] as const).flatMap((direction, d) =>
    bytes.flatMap((byte, b) =>
      breaks.map((action, a): Case => {
        const call = calls[(d + b * breaks.length + a) % calls.length] ?? greeting;
        const fault: Fault = { kind: 'bytes', at: { direction, call, byte }, action, times: 1 };
        return {
          name: `${action} at the ${byte} byte of call ${call} ${direction}`,
          fault,
          hosts: 'both',
          ends: onWorkers,
        };
      }),
    ),
  );
}

function breakingAlways(): Case[] {
  const spots: readonly (readonly [Spot, ByteAction])[] = [
    [{ direction: 'down', call: firstJobs, byte: 'first' }, 'reset'],
    [{ direction: 'up', call: firstJobs, byte: 'middle' }, 'close'],
    [{ direction: 'down', call: laterJob, byte: 'last' }, 'close'],
    [{ direction: 'up', call: greeting, byte: 'last' }, 'repeat'],
  ];
  return spots.map(([at, action]) => ({
    name: `${action} at the ${at.byte} byte of call ${at.call} ${at.direction}, always, no other worker`,
    fault: { kind: 'bytes', at, action, times: always },
    hosts: 'one',
    ends: home(),
  }));
}

function silences(): Case[] {
  const at = (call: number, direction: Spot['direction'], byte: Spot['byte']): Spot => ({ call, direction, byte });
  const silence = (spot: Spot, action: 'swallow' | 'trickle', hosts: Case['hosts']): Case => ({
    name: `${action} from the ${spot.byte} byte of call ${spot.call} ${spot.direction} on${hosts === 'one' ? ', no other worker' : ''}`,
    fault: { kind: 'bytes', at: spot, action, times: 1 },
    hosts,
    ends: hosts === 'both' ? onWorkers : home(),
  });
  return [
    silence(at(greeting, 'down', 'first'), 'swallow', 'both'),
    silence(at(question, 'up', 'middle'), 'swallow', 'both'),
    silence(at(firstJobs, 'down', 'last'), 'swallow', 'both'),
    silence(at(firstJobs, 'down', 'first'), 'swallow', 'one'),
    silence(at(laterJob, 'up', 'last'), 'swallow', 'one'),
    silence(at(laterJob, 'down', 'middle'), 'trickle', 'one'),
  ];
}

// A gRPC status of the call itself.
const status = (code: number): AnswerAction => ({ status: code });

/** Wrong answers, by what the compile that met one comes home for where there is no other worker. */
const wrongAnswers: readonly (readonly [AnswerAction, string])[] = [
  ['object of another machine', 'bad-answer'],
  ['object cut short', 'bad-answer'],
  ['empty object', 'bad-answer'],
  ['status out of range', 'bad-answer'],
  ['no result', 'bad-answer'],
  ['garbage', 'bad-answer'],
  ['no message', 'worker-lost'],
  ['compiler killed', 'worker-full'],
  ['disk full', 'worker-full'],
  [status(grpcCode.RESOURCE_EXHAUSTED), 'worker-full'],
  [status(grpcCode.INTERNAL), 'worker-failed'],
  [status(grpcCode.UNAVAILABLE), 'worker-lost'],
  [status(grpcCode.DEADLINE_EXCEEDED), 'worker-stalled'],
  [status(grpcCode.PERMISSION_DENIED), 'worker-failed'],
];

function answers(): Case[] {
  const called = (action: AnswerAction): string => (typeof action === 'string' ? action : `status ${action.status}`);
  const alone = wrongAnswers.map(([action, reason]): Case => {
    const fault: Fault = { kind: 'answers', action, times: 2 };
    return { name: `${called(action)}, twice, no other worker`, fault, hosts: 'one', ends: home(reason) };
  });
  const persistent: readonly AnswerAction[] = [
    'object of another machine',
    'garbage',
    'compiler killed',
    'always missing blobs',
    status(grpcCode.UNAVAILABLE),
    status(grpcCode.INTERNAL),
  ];
  const beside = persistent.map((action): Case => {
    const fault: Fault = { kind: 'answers', action, times: always };
    return { name: `${called(action)}, always`, fault, hosts: 'both', ends: onWorkers };
  });
  const missing: Fault = { kind: 'answers', action: 'always missing blobs', times: always };
  const lossy: Case = {
    name: 'always missing blobs, no other worker',
    fault: missing,
    hosts: 'one',
    ends: home('missing-blobs'),
  };
  return [...alone, ...beside, lossy];
}

/** What only this box can tell from the user's own mistake comes home, and is no fault of the host's. */
function unproved(): Case[] {
  return (['no object', 'no dependency file', 'internal compiler error'] as const).map((action) => ({
    name: `${action}, twice`,
    fault: { kind: 'answers', action, times: 2 },
    hosts: 'both',
    ends: { kind: 'home', reasons: ['remote-compile-failed'] },
  }));
}

/** What must not make a difference. */
function harmless(): Case[] {
  const alone = (name: string, fault: Fault): Case => ({ name, fault, hosts: 'one', ends: onWorkers });
  return [
    alone('a worker of an older version', { kind: 'answers', action: 'older', times: always }),
    alone('a worker of a newer version', { kind: 'answers', action: 'newer', times: always }),
    alone('bytes under the digest of others', { kind: 'answers', action: 'bytes of another digest', times: always }),
    alone('files beside those asked for', { kind: 'answers', action: 'files beside those asked for', times: always }),
    alone('100 ms and 1 Mbit/s', { kind: 'line', delayMs: 50, bytesPerSecond: 125_000 }),
  ];
}

export const cases: readonly Case[] = [
  ...breakingOnce(),
  ...breakingAlways(),
  ...silences(),
  ...answers(),
  ...unproved(),
  ...harmless(),
];

// The front as the keeper sees it: a process that says when it is ready, asks for writes, and ends.
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { smallAllocator } from '../../allocator.ts';
import { newHand } from './hand.ts';
import type { StoreWriter } from '../../store/store-writer.ts';
import type { Places } from './places.ts';

export type FrontEnd =
  | { readonly kind: 'ended'; readonly status: number; readonly wasReady: boolean }
  | { readonly kind: 'killed'; readonly why: string; readonly wasReady: boolean };

export type FrontProcess = {
  readonly signal: (name: 'SIGTERM' | 'SIGKILL') => void;
  readonly ended: Promise<FrontEnd>;
};

export type FrontOptions = {
  readonly initPath: string;
  readonly places: Places;
  /** Directories that it needs, wherever they are. */
  readonly needed: readonly string[];
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** They become the descriptors from `firstListener` on. */
  readonly listeners: readonly number[];
  readonly writer: StoreWriter;
  readonly answerTo: (question: string) => Promise<string>;
  /** @throws if it is no line of the audit log. */
  readonly note: (line: string) => void;
  readonly onReady: () => void;
  /** Takes what it writes to its standard error; else that is this process's own. */
  readonly line?: ((line: string) => void) | undefined;
  readonly log: (text: string) => void;
};

export const keeperFd = 3;
export const firstListener = 4;
// A compiler's command line is one.
const mostLine = 64 << 10;

function confinement({ places, needed }: FrontOptions): readonly string[] {
  const id = places.front === undefined ? '-' : String(places.front);
  return [
    'front',
    id,
    id,
    ...places.writable.map((path) => `+${path}`),
    ...places.hidden.map((path) => `-${path}`),
    ...needed.map((path) => `=${path}`),
    '--',
  ];
}

/** Whole lines; of one without end, pieces. */
function readLines(from: Readable, take: (line: string) => void): void {
  let rest = '';
  from.setEncoding('utf8');
  from.on('error', () => undefined);
  from.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > mostLine) lines.push(rest);
    if (rest.length > mostLine) rest = '';
    for (const line of lines) take(line);
  });
  from.on('end', () => (rest === '' ? undefined : take(rest)));
}

export function startFront(options: FrontOptions): FrontProcess {
  const { initPath, places, argv, env, listeners, writer, answerTo, note, onReady, log } = options;
  const child = spawn(initPath, [...confinement(options), ...argv], {
    stdio: ['ignore', 'ignore', options.line === undefined ? 'inherit' : 'pipe', 'pipe', ...listeners],
    cwd: places.frontDir,
    env: { ...env, ...smallAllocator },
  });
  if (child.stderr !== null && options.line !== undefined) readLines(child.stderr, options.line);
  let wasReady = false;
  let why: string | undefined;
  const line = child.stdio[keeperFd] as Socket;
  const hand = newHand({
    writer,
    answerTo,
    note,
    reply: (bytes) => void line.write(bytes),
    onReady: () => {
      if (wasReady) return;
      wasReady = true;
      onReady();
    },
    failed: (error) => log(`the store cannot be written: ${error.message}`),
  });
  line.on('error', () => undefined);
  line.on('data', (chunk: Buffer) => {
    if (why !== undefined) return;
    try {
      hand.take(chunk);
    } catch (error) {
      why = `it asked for what makes no sense: ${(error as Error).message}`;
      child.kill('SIGKILL');
    }
  });
  const ended = new Promise<FrontEnd>((resolve) => {
    const settle = (end: FrontEnd): void => {
      hand.close();
      line.destroy();
      resolve(end);
    };
    child.on('error', (error) => settle({ kind: 'killed', why: error.message, wasReady }));
    child.on(options.line === undefined ? 'exit' : 'close', (status: number | null, signal: string | null) => {
      if (status === null) settle({ kind: 'killed', why: why ?? `by ${signal}`, wasReady });
      else settle({ kind: 'ended', status, wasReady });
    });
  });
  return { signal: (name) => void child.kill(name), ended };
}

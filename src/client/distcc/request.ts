// What a job sends to a server of distcc's protocol. Protocols 1 and 2 take preprocessed source, which the launcher makes,
// since only it runs compilers here; protocol 3 takes the closure's files.
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { TranslationUnit } from '../../compiler/translation-unit.ts';
import { compressLzo } from '../../distcc/lzo-compress.ts';
import { decompressLzo } from '../../distcc/lzo-decompress.ts';
import { packet, textPacket } from '../../distcc/packet.ts';
import { directoryPackets, filePackets, linkPackets, ownDirectoryPackets } from '../../distcc/sent-files.ts';
import { argvForFiles, argvForSource, compilerName, type ServerCommand } from '../../distcc/server-argv.ts';
import type { DistccWay } from '../../farm/distcc-host.ts';
import type { DistccReady } from '../../farm/host.ts';
import type { ReasonId } from '../../observe/reasons.ts';
import { digestKey } from '../../reapi/digest.ts';
import type { JobClosure } from '../plan/closure.ts';
import type { ExecuteEnd } from '../attempt/end.ts';
import { keepSent } from './kept-source.ts';
import type { Preprocessed } from '../launcher-wire.ts';
import type { Preprocess } from './preprocess.ts';
import { systemInputs } from '../plan/system-inputs.ts';
import type { PlannedOutput, UnderstoodJob } from '../plan/understand.ts';

/** A job that may go to servers of distcc's protocol, with what all attempts at it share. */
export type DistccJob = {
  readonly understood: UnderstoodJob;
  /** Undefined where it could not be worked out: then the job is preprocessed here, whoever takes it. */
  readonly closure: JobClosure | undefined;
  readonly preprocess: Preprocess;
  /** What that gave: done once, however many hosts are tried. */
  made: Promise<Made> | undefined;
  readonly way: DistccWay;
};

const sourceLanguages: ReadonlySet<TranslationUnit['language']> = new Set(['c', 'c++', 'objective-c', 'objective-c++']);
const preprocessedEndings: ReadonlySet<string> = new Set(['.i', '.ii', '.mi', '.mii']);
// distcc's servers tell a source by its ending, and a compiler there has no file that is not sent.
// What is spelled out the launcher does not preprocess. Dependencies on standard output would be part of the source.
const notForServers =
  /^(?:@|--(?:assemble|compile|output|write-)|-x|-fpreprocessed$|-fdirectives-only$|-flto|-fplugin|-f(?:auto-)?profile|-Wa,.*=|-MF-$|-Wp,(?:.*,)?-MM?D,-(?:,|$))/;
// clang takes it for -MD -MF FILE, and its target follows from -o; the launcher tells clang by its name.
const dependenciesPassedOn = /^-Wp,-MM?D,/;
const carriedKinds: ReadonlySet<PlannedOutput['kind']> = new Set(['object', 'assembly', 'dependencies']);

/** Whether distcc's protocol can carry the job: one output, of a source in one of its languages. */
export function mayGoByDistcc({ unit, outputs, request, toolchain }: UnderstoodJob): boolean {
  const words = request.argv.slice(1);
  const hidesItsName = toolchain.family === 'clang' && !basename(request.compiler).includes('clang');
  return (
    !(hidesItsName && words.some((word) => dependenciesPassedOn.test(word))) &&
    !words.some((word, at) => word === '-MF' && words[at + 1] === '-') &&
    sourceLanguages.has(unit.language) &&
    unit.preprocessed === preprocessedEndings.has(extname(unit.source)) &&
    outputs.every(({ kind }) => carriedKinds.has(kind)) &&
    !words.some((word) => notForServers.test(word))
  );
}

// Why a closure is not known; none of that matters once the source is preprocessed. What the assembler reads does.
const closureReasons: ReadonlySet<ReasonId> = new Set([
  'computed-include',
  'timestamp-macro',
  'embed',
  'path-encoding',
  'hard-links',
  'header-unreadable',
]);

/** Whether a job that cannot go to a worker for that reason may go to servers of distcc's protocol. */
export function mayGoPreprocessed(job: UnderstoodJob, reason: ReasonId): boolean {
  return closureReasons.has(reason) && !job.unit.preprocessed && mayGoByDistcc(job);
}

// The middle of what was seen: 40 KB of C, 2 MB of C++.
const usualSourceBytes = 300_000;

/** About what such a host is sent: what preprocessing leaves is as large as what it reads. */
export function distccBytes(closure: JobClosure | undefined): number {
  if (closure === undefined) return usualSourceBytes;
  const { files } = closure;
  return files.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
}

/** Of the job's own environment. */
export function valueOf(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

export const isSet = (env: readonly string[], name: string): boolean =>
  !['', '0', undefined].includes(valueOf(env, name));

function commandOf({ request, toolchain, unit }: UnderstoodJob): ServerCommand {
  const { compiler, argv, env } = request;
  const name = basename(compiler);
  const keepsName = isSet(env, 'DISTCC_NO_REWRITE_CROSS');
  const driver = { name, family: toolchain.family, cplusplus: toolchain.cplusplusDriver };
  const isThere = (other: string): boolean => !keepsName && existsSync(join(dirname(compiler), other));
  return {
    name: compilerName(driver, { target: toolchain.target, isThere }),
    words: argv.slice(1),
    object: unit.object,
    target: toolchain.family === 'clang' && !keepsName ? toolchain.target : undefined,
  };
}

// No variable goes along.
const searchVariables = ['CPATH', 'C_INCLUDE_PATH', 'CPLUS_INCLUDE_PATH', 'OBJC_INCLUDE_PATH'] as const;

type FilesJob = DistccJob & { readonly closure: JobClosure };

/** Whether the server is to preprocess: where it cannot have the job's files as they are, this box does it. */
function takesFiles({ server }: DistccReady, job: DistccJob): job is FilesJob {
  const { understood, closure } = job;
  const { unit, outputs } = understood;
  if (closure === undefined) return false;
  if (server.protocol !== 3 || unit.preprocessed || understood.sourceDateEpoch) return false;
  if (searchVariables.some((name) => valueOf(understood.request.env, name) !== undefined)) return false;
  const asked = outputs.filter(({ kind }) => kind === 'dependencies');
  if (asked.length > 1 || understood.request.argv.some((word) => word.startsWith('-Wp,'))) return false;
  return !namesItself(understood, closure);
}

const ownName = /__FILE__|__BASE_FILE__|__builtin_FILE|source_location/;

/**
 * Stock distccd compiles in a directory of its own, and an absolute name is one below it there: what a source says of its
 * own name would be that of a temporary file, another each time.
 */
function namesItself({ unit }: UnderstoodJob, { files }: JobClosure): boolean {
  const { quote, angle, system, after } = unit.search;
  const spelled = [unit.source, ...quote, ...angle, ...system, ...after, ...unit.forced.map(({ file }) => file)];
  return spelled.some((path) => path.startsWith('/')) && files.some((file) => mentionsName(file));
}

const mentions = new Map<string, boolean>();
const mostMentions = 50_000;

function mentionsName({ digest, bytes }: JobClosure['files'][number]): boolean {
  const key = digestKey(digest);
  let found = mentions.get(key);
  if (found === undefined) {
    if (mentions.size >= mostMentions) mentions.clear();
    found = ownName.test(bytes().toString('latin1'));
    mentions.set(key, found);
  }
  return found;
}

export type Prepared = {
  readonly version: 1 | 2 | 3;
  readonly request: readonly Uint8Array[];
  /** What preprocessing here has printed already. */
  readonly stderr: Buffer;
};

function commandPackets(argv: readonly string[]): Buffer[] {
  return [packet('ARGC', argv.length), ...argv.map((word) => textPacket('ARGV', word))];
}

const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);

/** What is left to the server: the directories that its compiler searches by itself, the compiler, and its language. */
function leftToServer(understood: UnderstoodJob): {
  readonly directories: readonly string[];
  readonly isLeft: (path: string) => boolean;
} {
  const { builtins, toolchain } = understood;
  const directories = topmost(builtins.directories);
  const own = new Set([...systemInputs(understood), ...toolchain.aliases.map(({ path }) => path)]);
  const isLeft = (path: string): boolean =>
    own.has(path) || directories.some((directory) => path === directory || isBelow(path, directory));
  return { directories, isLeft };
}

/** @throws FileChangedError if the content of a file is gone. */
function prepareFiles({ understood, closure, way }: FilesJob): Prepared {
  const { directories, isLeft } = leftToServer(understood);
  const parts: Buffer[][] = directories.map(ownDirectoryPackets);
  // Directories that need no file of their own to be there.
  const there = new Set<string>();
  const passes = (path: string): void => {
    for (let up = dirname(path); !there.has(up); up = dirname(up)) there.add(up);
  };
  there.add('/');
  for (const path of directories) passes(path);
  for (const { path, digest, bytes } of closure.files) {
    passes(path);
    if (!isLeft(path)) parts.push(filePackets(way.packets, { path, key: digestKey(digest), bytes }));
  }
  for (const { path, target } of closure.symlinks) {
    passes(path);
    const leads = directories.some((directory) => isBelow(directory, path));
    if (!isLeft(path) && !leads) parts.push(linkPackets(path, target));
  }
  for (const { path } of closure.directories) {
    if (!there.has(path) && !isLeft(path)) parts.push(directoryPackets(path));
  }
  const command = commandPackets(argvForFiles(commandOf(understood)));
  const head = [packet('DIST', 3), textPacket('CDIR', understood.request.cwd), ...command];
  return { version: 3, request: [...head, packet('NFIL', parts.length), ...parts.flat()], stderr: noBytes };
}

/** Those that lie in no other. */
function topmost(directories: readonly string[]): string[] {
  return directories.filter((one) => !directories.some((other) => other !== one && one.startsWith(`${other}/`)));
}

export type NotPrepared = Extract<ExecuteEnd, { readonly kind: 'job-fault' }>;

/** Preprocessed source as the server that was last given it takes it: compressed, it is a quarter. */
type Made = {
  readonly waitStatus: number;
  readonly stderr: Buffer;
  /** The assembler shall read a file, which the server does not have. */
  readonly readsMore: boolean;
  source: { readonly version: 1 | 2; readonly body: Buffer };
};

const noBytes = Buffer.alloc(0);
const mostSourceBytes = 128 << 20;
const assemblersFiles = /\.(?:incbin|include[ \t]*[\\"])/i;

/** A server has no such file, or another of its name. Looked for in megabytes of text, which mostly hold none of the words. */
function readsByAssembler(text: Buffer): boolean {
  return ['.inc', '.INC', '.Inc'].some((word) => text.includes(word)) && assemblersFiles.test(text.toString('latin1'));
}

async function make({ understood, closure, preprocess }: DistccJob): Promise<Made> {
  if (understood.unit.preprocessed && closure !== undefined)
    return madeOf({ waitStatus: 0, stderr: noBytes, text: closure.source.bytes() });
  const made = await preprocess();
  if (isSet(understood.request.env, 'DISTCC_SAVE_TEMPS')) keepSent(understood, made.text);
  return madeOf(made);
}

const madeOf = ({ waitStatus, stderr, text }: Preprocessed): Made => {
  return { waitStatus, stderr, readsMore: readsByAssembler(text), source: { version: 1, body: text } };
};

function bodyFor(made: Made, version: 1 | 2): Buffer {
  const { version: now, body } = made.source;
  if (now !== version)
    made.source = { version, body: version === 2 ? compressLzo(body) : decompressLzo(body, mostSourceBytes) };
  return made.source.body;
}

async function prepareSource(job: DistccJob, version: 1 | 2): Promise<Prepared | NotPrepared> {
  const { understood } = job;
  job.made ??= make(job);
  const made = await job.made;
  if (made.waitStatus !== 0)
    return { kind: 'job-fault', reason: 'preprocessing-failed', detail: understood.unit.source };
  if (made.readsMore) return { kind: 'job-fault', reason: 'incbin', detail: understood.unit.source };
  const body = bodyFor(made, version);
  const command = commandPackets(argvForSource(commandOf(understood)));
  const request = [packet('DIST', version), ...command, packet('DOTI', body.length), body];
  return { version, request, stderr: made.stderr };
}

/** @throws FileChangedError if the content of a file is gone; what keeps the launcher from preprocessing. */
export async function prepare(ready: DistccReady, job: DistccJob): Promise<Prepared | NotPrepared> {
  return takesFiles(ready, job) ? prepareFiles(job) : prepareSource(job, ready.server.protocol === 1 ? 1 : 2);
}

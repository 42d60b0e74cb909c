// An Action and its Command as this worker takes them: decoded, checked to be in canonical form where another form would
// mean another action, and read: in which root to run, where, with what, and what to bring back.
import { posix } from 'node:path';
import { digestKey, isDigest, parseDigestKey, type Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode, missingBlobsError } from '../../reapi/errors.ts';
import { Action, Command, type Platform_Property } from '../../reapi/gen/remote_execution.ts';
import type { BlobStore } from '../../store/blob-store.ts';

export type Terminal = { readonly bits: number; readonly columns: number; readonly rows: number };

export type WantedOutput = {
  /** As the Command spells it: the result names it so. */
  readonly requested: string;
  /** Relative to the input root. */
  readonly path: string;
  /** `any`: what it is shows after the run. */
  readonly kind: 'any' | 'file' | 'directory';
};

export type UnderstoodAction = {
  readonly digest: Digest;
  readonly command: Command;
  readonly inputRoot: Digest;
  readonly doNotCache: boolean;
  readonly timeoutMs: number;
  /** True: the input root, over the toolchain, is the job's `/`. False: a plain action, beside the box's own tools. */
  readonly isRoot: boolean;
  /** Of the working directory, relative to the input root. */
  readonly directory: string;
  readonly toolchain: Digest | undefined;
  /** What is executed, where it is not the first word that says so. */
  readonly program?: string;
  readonly terminal: Terminal | undefined;
  readonly outputs: readonly WantedOutput[];
};

const defaultTimeoutMs = 10 * 60_000;
const maxTimeoutMs = 60 * 60_000;
// execve takes 2 MB of arguments and environment.
const maxCommandBytes = 4 << 20;
const isas: Readonly<Record<string, string>> = { x64: 'x86-64', arm64: 'arm-a64', riscv64: 'riscv-64' };

function wrong(why: string): GrpcError {
  return new GrpcError(grpcCode.INVALID_ARGUMENT, `the action is wrong: ${why}`);
}

/** @throws GrpcError FAILED_PRECONDITION if a blob is missing, INVALID_ARGUMENT if it is not what it should be. */
export function understandAction(store: BlobStore, digest: Digest): UnderstoodAction {
  const action = decode(store, digest, Action);
  const { commandDigest, inputRootDigest } = action;
  if (!isDigest(commandDigest) || !isDigest(inputRootDigest)) throw wrong('it lacks a digest');
  const command = decode(store, commandDigest, Command);
  const properties = propertiesOf((action.platform ?? command.platform)?.properties ?? []);
  const exact = properties.get('shoal-root') === 'input';
  checkCommand(command);
  const directory = exact
    ? rootDirectory(properties.get('shoal-cwd'))
    : relativePath(command.workingDirectory, 'the working directory');
  return {
    digest,
    command,
    inputRoot: inputRootDigest,
    doNotCache: action.doNotCache,
    timeoutMs: timeoutOf(action),
    isRoot: exact,
    directory,
    toolchain: toolchainOf(properties.get('toolchain')),
    terminal: terminalOf(properties.get('shoal-terminal')),
    outputs: outputsOf(command, exact ? '' : directory),
  };
}

type Message<T> = { readonly decode: (bytes: Uint8Array) => T };

function decode<T>(store: BlobStore, digest: Digest, message: Message<T>): T {
  if (digest.sizeBytes > maxCommandBytes) throw wrong(`a message of ${digest.sizeBytes} bytes`);
  const bytes = store.readNow(digest);
  if (bytes === undefined) throw missingBlobsError([digest]);
  try {
    return message.decode(bytes);
  } catch (error) {
    throw wrong(`${digestKey(digest)} cannot be read: ${(error as Error).message}`);
  }
}

function timeoutOf({ timeout }: Action): number {
  if (timeout === undefined) return defaultTimeoutMs;
  const timeoutMs = timeout.seconds * 1000 + timeout.nanos / 1e6;
  // A timeout above the bound is refused, not shortened: it is part of what the client asked for.
  if (!(timeoutMs > 0 && timeoutMs <= maxTimeoutMs))
    throw wrong(`a timeout of ${timeoutMs} ms; the most is ${maxTimeoutMs}`);
  return Math.ceil(timeoutMs);
}

// A property that is not here makes the action one for some other worker.
const knownProperties: Readonly<Record<string, (value: string) => boolean>> = {
  ISA: (value) => value === isas[process.arch],
  OSFamily: (value) => value.toLowerCase() === 'linux',
  'shoal-cwd': (value) => value.startsWith('/'),
  'shoal-root': (value) => value === 'input',
  'shoal-terminal': (value) => /^[1-7]:\d{1,5}:\d{1,5}$/.test(value),
  toolchain: (value) => parseDigestKey(value) !== undefined,
};

function propertiesOf(properties: readonly Platform_Property[]): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  let last = '';
  for (const { name, value } of properties) {
    const isKnown = Object.hasOwn(knownProperties, name);
    if (!isKnown || knownProperties[name]?.(value) !== true) {
      throw wrong(`this worker has no platform property ${JSON.stringify(name)} of value ${JSON.stringify(value)}`);
    }
    if (name <= last) throw wrong('platform properties have to be sorted, and each name may stand once');
    last = name;
    known.set(name, value);
  }
  return known;
}

function toolchainOf(value: string | undefined): Digest | undefined {
  return value === undefined ? undefined : parseDigestKey(value);
}

function terminalOf(value: string | undefined): Terminal | undefined {
  if (value === undefined) return undefined;
  const [bits = 0, columns = 0, rows = 0] = value.split(':').map(Number);
  if (columns > 0xffff || rows > 0xffff) throw wrong('a terminal of that size');
  return { bits, columns, rows };
}

function checkCommand(command: Command): void {
  if (command.arguments.length === 0 || command.arguments[0] === '') throw wrong('the command is empty');
  const { environmentVariables } = command;
  let last: string | undefined;
  for (const { name } of environmentVariables) {
    if (name === '' || name.includes('=')) throw wrong(`${JSON.stringify(name)} is no variable`);
    if (last !== undefined && Buffer.compare(Buffer.from(last), Buffer.from(name)) >= 0) {
      throw wrong('environment variables have to be sorted, and each name may stand once');
    }
    last = name;
  }
  const texts = [...command.arguments, ...environmentVariables.flatMap(({ name, value }) => [name, value])];
  if (texts.some((text) => text.includes('\0'))) throw wrong('a text of the command holds a NUL');
  // Both node properties that REAPI knows would be those of the sandbox, not of the action.
  if (command.outputNodeProperties.length > 0) throw wrong('no node properties of outputs are known');
}

/** A path inside the root, without leading slash, as it is spelled by whoever follows the rules. */
function relativePath(path: string, what: string): string {
  const isPlain = path === '' || path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
  if (!isPlain || path.includes('\0') || Buffer.byteLength(path) > 4000)
    throw wrong(`${what} ${JSON.stringify(path)} is no path`);
  return path;
}

function rootDirectory(cwd: string | undefined): string {
  if (cwd === undefined) throw wrong('shoal-root wants shoal-cwd');
  return relativePath(cwd.slice(1), 'shoal-cwd');
}

function sortedPaths(paths: readonly string[], what: string): readonly string[] {
  for (const [at, path] of paths.entries()) {
    relativePath(path, what);
    const before = paths[at - 1];
    if (before !== undefined && Buffer.compare(Buffer.from(before), Buffer.from(path)) >= 0) {
      throw wrong(`${what} has to be sorted, without repetition`);
    }
  }
  return paths;
}

function outputsOf(command: Command, base: string): readonly WantedOutput[] {
  const wanted = (paths: readonly string[], kind: WantedOutput['kind']): WantedOutput[] =>
    paths.map((requested) => ({ requested, kind, path: posix.join(base, requested).replace(/^\.$/, '') }));
  const { outputPaths, outputFiles, outputDirectories } = command;
  // Both older fields are ignored where the newer is used.
  if (outputPaths.length > 0) return wanted(sortedPaths(outputPaths, 'output_paths'), 'any');
  if (outputFiles.includes('')) throw wrong('output_files holds an empty path');
  return [
    ...wanted(sortedPaths(outputFiles, 'output_files'), 'file'),
    ...wanted(sortedPaths(outputDirectories, 'output_directories'), 'directory'),
  ];
}

/** True for the paths that the command line names: sources, above all, that no other job reads. */
export function namedByCommand({ command, directory }: UnderstoodAction): (path: string) => boolean {
  let named: Set<string> | undefined;
  return (path) => {
    named ??= new Set(
      command.arguments
        .filter((word) => !word.startsWith('-'))
        .map((word) => posix.resolve(`/${directory}`, word).slice(1)),
    );
    return named.has(path);
  };
}

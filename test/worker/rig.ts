// What the worker's tests share: blobs, trees and actions as a client would send them, and workers in directories that
// are removed afterwards.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NotACompiler, Toolchain } from '../../src/compiler/toolchain.ts';
import { ensureNative } from '../../src/native.ts';
import { digestOf, type Digest } from '../../src/reapi/digest.ts';
import { connect, type Blob, type ReapiClient } from '../../src/reapi/client.ts';
import { Action, Command, Directory, type Platform_Property } from '../../src/reapi/gen/remote_execution.ts';
import { openChannel, type Channel } from '../../src/reapi/grpc-client.ts';
import { startWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts';

export async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-worker-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function blobOf(content: string | Uint8Array): Blob {
  const bytes = Buffer.from(content as string);
  return { digest: digestOf(bytes), bytes };
}

/** Paths to contents: a Uint8Array or text is a file, `{ program }` one to execute, `{ target }` a symbolic link. */
export type Tree = Readonly<
  Record<string, string | Uint8Array | { readonly target: string } | { readonly program: Uint8Array }>
>;

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));

/** The root's digest and every blob of the tree. */
export function treeBlobs(tree: Tree): { readonly root: Digest; readonly blobs: readonly Blob[] } {
  const message: Directory = { files: [], directories: [], symlinks: [], nodeProperties: undefined };
  const blobs: Blob[] = [];
  const below = new Map<string, Record<string, Tree[string]>>();
  for (const [path, content] of Object.entries(tree)) {
    const [name = '', ...rest] = path.split('/');
    if (rest.length > 0) below.set(name, { ...below.get(name), [rest.join('/')]: content });
    else if (typeof content === 'object' && 'target' in content) {
      message.symlinks.push({ name, target: content.target, nodeProperties: undefined });
    } else {
      const isExecutable = typeof content === 'object' && 'program' in content;
      const blob = blobOf(isExecutable ? content.program : content);
      blobs.push(blob);
      message.files.push({ name, digest: blob.digest, isExecutable, nodeProperties: undefined });
    }
  }
  for (const [name, inner] of below) {
    const child = treeBlobs(inner);
    blobs.push(...child.blobs);
    message.directories.push({ name, digest: child.root });
  }
  for (const nodes of [message.files, message.directories, message.symlinks]) nodes.sort(byName);
  const root = blobOf(Directory.encode(message).finish());
  return { root: root.digest, blobs: [...blobs, root] };
}

export type ActionSpec = {
  readonly argv: readonly string[];
  readonly tree: Tree;
  readonly outputs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly properties?: readonly Platform_Property[];
  readonly command?: Partial<Command>;
  readonly action?: Partial<Action>;
};

export type PreparedAction = { readonly digest: Digest; readonly blobs: readonly Blob[] };

export function actionBlobs(spec: ActionSpec): PreparedAction {
  const { root, blobs } = treeBlobs(spec.tree);
  const platform = { properties: [...(spec.properties ?? [])] };
  const env = Object.entries(spec.env ?? { PATH: '/usr/bin:/bin' }).map(([name, value]) => ({ name, value }));
  const command = blobOf(
    Command.encode({
      arguments: [...spec.argv],
      environmentVariables: env.toSorted(byName),
      outputFiles: [],
      outputDirectories: [],
      outputPaths: [...(spec.outputs ?? [])].toSorted(),
      platform,
      workingDirectory: '',
      outputNodeProperties: [],
      outputDirectoryFormat: 0,
      ...spec.command,
    }).finish(),
  );
  const action = blobOf(
    Action.encode({
      commandDigest: command.digest,
      inputRootDigest: root,
      timeout: undefined,
      doNotCache: false,
      salt: Buffer.alloc(0),
      platform,
      ...spec.action,
    }).finish(),
  );
  return { digest: action.digest, blobs: [...blobs, command, action] };
}

export type RunningWorker = {
  readonly worker: Worker;
  readonly client: ReapiClient;
  readonly channel: Channel;
  readonly stateDir: string;
  /** Uploads and executes. */
  readonly run: (
    action: PreparedAction,
    options?: {
      readonly skipCacheLookup?: boolean;
      readonly inlineOutputs?: readonly string[];
      readonly signal?: AbortSignal;
    },
  ) => ReturnType<ReapiClient['execute']>;
};

export type WorkerSpec = Partial<
  Pick<WorkerOptions, 'slots' | 'storeBytes' | 'stateDir' | 'jobMemoryBytes' | 'commands' | 'contain' | 'audit'>
> & {
  readonly toolchains?: readonly (Toolchain | NotACompiler)[];
};

export async function optionsIn(directory: string, spec: WorkerSpec = {}): Promise<WorkerOptions> {
  const { init } = await ensureNative();
  const toolchains = spec.toolchains ?? [];
  return {
    listen: [{ host: '127.0.0.1', port: 0 }],
    unixSocket: join(directory, 'worker.sock'),
    slots: spec.slots ?? 2,
    stateDir: spec.stateDir ?? join(directory, 'state'),
    storeBytes: spec.storeBytes ?? 1 << 30,
    ...(spec.contain === undefined ? {} : { contain: spec.contain }),
    ...(spec.commands === undefined ? {} : { commands: spec.commands }),
    ...(spec.jobMemoryBytes === undefined ? {} : { jobMemoryBytes: spec.jobMemoryBytes }),
    insecure: false,
    audit: spec.audit,
    initPath: init,
    compilers: {
      searched: [],
      discover: async () => Promise.resolve(toolchains.map((_, at) => String(at))),
      identify: async (at) =>
        Promise.resolve(toolchains[Number(at)] ?? { kind: 'not-a-compiler', why: 'the test has no more' }),
    },
    log: () => undefined,
  };
}

/** A worker, and a client on its Unix socket; both end with the body. */
export async function withWorker(spec: WorkerSpec, body: (running: RunningWorker) => Promise<void>): Promise<void> {
  await inDirectory(async (directory) => {
    const options = await optionsIn(directory, spec);
    const worker = await startWorker(options);
    if (worker.kind === 'refused') throw new Error(worker.why);
    const target = { kind: 'unix', path: options.unixSocket ?? '' } as const;
    const client = connect(target, { connectTimeoutMs: 5000 });
    const channel = openChannel(target, { connectTimeoutMs: 5000 });
    const run: RunningWorker['run'] = async (action, { skipCacheLookup = false, inlineOutputs = [], signal } = {}) => {
      await client.upload(action.blobs);
      const request = { actionDigest: action.digest, skipCacheLookup, inlineOutputs };
      return client.execute(request, { deadlineMs: 60_000, ...(signal === undefined ? {} : { signal }) });
    };
    try {
      await client.ready();
      await body({ worker, client, channel, stateDir: options.stateDir, run });
    } finally {
      client.close();
      channel.close();
      await worker.stop();
    }
  });
}

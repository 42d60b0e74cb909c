// A job as a REAPI Action: what docs/internals calls shoal's actions. The input root is the job's whole `/` less the
// toolchain, which the platform names by digest; the working directory is a platform property, because output paths
// are relative to the root, not to it.
import { Action, Command, type Platform } from '../../reapi/gen/remote_execution.ts';
import { digestOf, digestKey, type Digest } from '../../reapi/digest.ts';
import { compareNames } from '../../reapi/directory-encoding.ts';
import type { TreeBlob, TreeDirectory } from './input-tree.ts';
import { isOnTerminal } from '../launcher-wire.ts';
import type { UnderstoodJob } from './understand.ts';

export type PlannedAction = {
  readonly digest: Digest;
  readonly command: Digest;
  readonly root: TreeDirectory;
  /** Action and Command. */
  readonly blobs: readonly TreeBlob[];
  /** Root-relative, sorted. */
  readonly outputPaths: readonly string[];
};

// Longest compile that a worker is asked to bear; part of the action, so one value for all.
const timeoutSeconds = 600;

function platformOf(job: UnderstoodJob): Platform {
  const properties = [
    { name: 'shoal-cwd', value: job.request.cwd },
    { name: 'shoal-root', value: 'input' },
  ];
  const { bits, columns, rows } = job.request.terminal;
  // Only a terminal on stderr changes what a compiler writes; without one the size of stdin's does not matter.
  if (isOnTerminal(job.request.terminal)) {
    properties.push({ name: 'shoal-terminal', value: `${bits & 7}:${columns}:${rows}` });
  }
  properties.push({ name: 'toolchain', value: digestKey(job.toolchain.digest) });
  return { properties };
}

function blob(bytes: Uint8Array): { readonly digest: Digest; readonly bytes: () => Buffer } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { digest: digestOf(buffer), bytes: () => buffer };
}

export function rootRelative(path: string): string {
  return path.slice(1);
}

export function makeAction(job: UnderstoodJob, root: TreeDirectory): PlannedAction {
  const platform = platformOf(job);
  const outputPaths = job.outputs.map((output) => rootRelative(output.target)).toSorted(compareNames);
  const command = blob(
    Command.encode({
      arguments: [...job.request.argv],
      environmentVariables: job.env.toSorted((a, b) => compareNames(a.name, b.name)).map((entry) => ({ ...entry })),
      outputFiles: [],
      outputDirectories: [],
      outputPaths,
      platform,
      workingDirectory: '',
      outputNodeProperties: [],
      outputDirectoryFormat: 0,
    }).finish(),
  );
  const action = blob(
    Action.encode({
      commandDigest: command.digest,
      inputRootDigest: root.digest,
      timeout: { seconds: timeoutSeconds, nanos: 0 },
      doNotCache: false,
      salt: Buffer.alloc(0),
      platform,
    }).finish(),
  );
  return {
    digest: action.digest,
    command: command.digest,
    root,
    blobs: [
      { ...command, place: 'command' },
      { ...action, place: 'action' },
    ],
    outputPaths,
  };
}

// A worker that serves distcc's clients with this box's gcc, for tests.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { identifyToolchain } from '../../src/compiler/identify.ts';
import type { NotACompiler, Toolchain } from '../../src/compiler/toolchain.ts';
import type { LogLine } from '../../src/distcc/log-lines.ts';
import type { DistccServer } from '../../src/distcc/server.ts';
import { distccService, type DistccServiceOptions } from '../../src/worker/distcc/service.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { inDirectory, optionsIn } from '../worker/rig.ts';

export const pathEnv = '/usr/bin:/bin';

export type Serving = {
  readonly port: number;
  readonly server: DistccServer;
  readonly lines: readonly LogLine[];
  /** A directory for the test's own files. */
  readonly home: string;
};

export type ServingSpec = Partial<DistccServiceOptions> & { readonly slots?: number };

let identified: Promise<(Toolchain | NotACompiler)[]> | undefined;

/** Once: all of their files are read. */
function boxToolchains(): Promise<(Toolchain | NotACompiler)[]> {
  const names = ['gcc', 'g++'].map((name) => `/usr/bin/${name}`);
  return (identified ??= Promise.all(names.map((name) => identifyToolchain(name, { pathEnv }))));
}

export async function withDistcc(spec: ServingSpec, body: (serving: Serving) => Promise<void>): Promise<void> {
  const toolchains = await boxToolchains();
  await inDirectory(async (directory) => {
    const home = join(directory, 'home');
    mkdirSync(home);
    const lines: LogLine[] = [];
    let ready: { readonly port: number; readonly server: DistccServer } | undefined;
    const beside = distccService({
      listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
      allow: [],
      pathEnv,
      log: (line) => lines.push(line),
      onReady: (server) => (ready = { port: server.ports[0] ?? 0, server }),
      ...spec,
    });
    const options = await optionsIn(directory, { toolchains, slots: spec.slots ?? 2 });
    const worker = await startWorker({ ...options, beside });
    if (worker.kind === 'refused' || ready === undefined) throw new Error('why' in worker ? worker.why : 'not ready');
    try {
      await body({ ...ready, lines, home });
    } finally {
      await worker.stop();
    }
  });
}

/** Serves until `stop` is called. */
export async function startDistcc(spec: ServingSpec): Promise<Serving & { readonly stop: () => Promise<void> }> {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  return new Promise((resolve, reject) => {
    const running: Promise<void> = withDistcc(spec, (serving) => {
      const stop = (): Promise<void> => {
        end();
        return running;
      };
      resolve({ ...serving, stop });
      return ended;
    });
    running.catch(reject);
  });
}

// The closure that the client daemon finds for a command line, without a daemon.
import { statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { findClosure, type BuildInputs } from '../../src/client/plan/closure.ts';
import { newLayer } from '../../src/client/plan/input-tree.ts';
import type { RunHere } from '../../src/client/plan/run-here.ts';
import type { FileIdentity, LauncherRequest } from '../../src/client/launcher-wire.ts';
import { newToolchainView } from '../../src/client/plan/toolchains.ts';
import { understandJob } from '../../src/client/plan/understand.ts';
import type { PlanWorld } from '../../src/client/plan/world.ts';
import { realFiles } from '../../src/includes/files.ts';
import type { Closure } from '../../src/includes/types.ts';
import { createIncludeView } from '../../src/includes/view.ts';

export type FindsClosure = (argv: readonly string[], cwd: string) => Promise<Closure | RunHere>;

export function closureFinder(cacheDir: string): FindsClosure {
  // What a closure needs of the world.
  const world = { includes: createIncludeView(realFiles), toolchains: newToolchainView(cacheDir) } as PlanWorld;
  const inputs: BuildInputs = { expected: [], layer: newLayer() };
  const paths = new Map<string, string>();
  let epoch = 0;
  return async (argv, cwd) => {
    const [driver = ''] = argv;
    const compiler =
      paths.get(driver) ?? execFileSync('sh', ['-c', `command -v ${driver}`], { encoding: 'utf8' }).trim();
    paths.set(driver, compiler);
    const understood = await understandJob(world, launcherRequest(compiler, argv, cwd));
    return understood.kind === 'here'
      ? understood
      : findClosure(world, inputs, { job: understood.job, epoch: ++epoch });
  };
}

function identity(path: string): FileIdentity {
  const { dev, ino } = statSync(path, { bigint: true });
  return { dev, ino };
}

/** As a launcher in `cwd` would send it. */
export function launcherRequest(compiler: string, argv: readonly string[], cwd: string): LauncherRequest {
  return {
    compiler,
    argv: [compiler, ...argv.slice(1)],
    env: [`PATH=${process.env['PATH'] ?? ''}`],
    cwd,
    umask: 0o022,
    limits: [],
    terminal: { bits: 0, columns: 0, rows: 0 },
    root: identity('/'),
    cwdIdentity: identity(cwd),
    mounts: identity('/proc/self/ns/mnt'),
    sources: [],
    asDistcc: false,
    notUtf8: undefined,
    pid: process.pid,
  };
}

// What a test of the simulator needs once: a directory, and the compilers of this box asked what simulations ask of them.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { choicesOf } from '../generated/choices.ts';
import {
  askCompilers,
  newClient,
  openSession,
  runBuild,
  type Client,
  type Compilers,
  type JobRecord,
} from './client.ts';
import { readingCompiler } from './compiler.ts';
import { drawFrom } from './draw.ts';
import { simulatedFarm, type SimulatedFarm } from './farm.ts';
import type { HostPlan } from './host.ts';
import { layOutProject, type Project } from './project.ts';

export type Rig = { readonly directory: string; readonly compilers: Compilers; readonly close: () => void };

export async function openRig(): Promise<Rig> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'shoal-simulator-')));
  const cwd = join(directory, 'asked');
  mkdirSync(cwd);
  const size = { sources: 1, headers: 1, medianMs: 1 };
  const compilers = await askCompilers(
    join(directory, 'cache'),
    layOutProject(cwd, size, choicesOf(1), () => 0.5),
  );
  return { directory, compilers, close: () => rmSync(directory, { recursive: true }) };
}

export type Stage = SimulatedFarm & {
  readonly client: Client;
  readonly project: Project;
  /** A build of all that, `width` jobs at once, until it has ended. */
  readonly build: (settings: { readonly width: number; readonly strict?: boolean }) => Promise<JobRecord[]>;
};

/** Hosts as they are written down, and a project of so many sources. */
export function stage({ directory, compilers }: Rig, plans: readonly HostPlan[], sources: number): Stage {
  const cwd = mkdtempSync(join(directory, 'stage-'));
  const choices = choicesOf(1);
  const draw = drawFrom(choices);
  const project = layOutProject(cwd, { sources, headers: 10, medianMs: 500 }, choices, draw);
  const parts = { compiler: readingCompiler(compilers.makeObject), toolchain: compilers.toolchain, draw };
  const simulated = simulatedFarm(plans, parts);
  const client = newClient(compilers, simulated.clock, cwd);
  const build: Stage['build'] = ({ width, strict = false }) => {
    const session = openSession(client, simulated.farm, { mostFallbacks: strict ? 0 : undefined, resultCache: false });
    const request = { ...project, width, homePace: 1, killsAfterMs: () => undefined };
    return simulated.clock.until(runBuild(client, session, request), 3_600_000);
  };
  return { ...simulated, client, project, build };
}

export function plainHost(name: string, more: Partial<HostPlan> = {}): HostPlan {
  const line = { latencyMs: 1, bytesPerMs: 100_000 };
  return { name, slots: 4, pace: () => 1, ...line, isShoal: true, inlines: true, faults: [], ...more };
}

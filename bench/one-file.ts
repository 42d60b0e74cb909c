// A program to be run by `shoal run`: times one compile after the other, by the compiler at home and through the farm in
// turn, and the launcher by itself. The source changes every time, so that every compile is really run.
import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CompileLine } from './corpus.ts';
import type { OneFile } from './extras.ts';
import { spreadOf } from './statistics.ts';

const [countText = '', answer = '', stub = ''] = process.argv.slice(2);
const count = Number(countText);
const source = 'leveldb/util/hash.cc';
const lines = JSON.parse(readFileSync('compile_commands.json', 'utf8')) as readonly CompileLine[];
const args = lines.find(({ file }) => file === source)?.arguments.slice(1) ?? [];

// The front of PATH is shoal's directory of compiler names; the compiler itself stands behind it.
const [names = '', ...rest] = (process.env['PATH'] ?? '').split(':');
const launcher = join(names, 'g++');
const home = { ...process.env, PATH: rest.join(':') };

const timeMs = (command: string, words: readonly string[], env: NodeJS.ProcessEnv): number => {
  const startMs = performance.now();
  const { status, stderr } = spawnSync(command, words, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: status ${status}\n${stderr}`);
  return performance.now() - startMs;
};

const median = (values: readonly number[]): number => spreadOf(values).median;

function compileInTurn(): { readonly atHomeMs: number; readonly farmMs: number } {
  const atHome: number[] = [];
  const farm: number[] = [];
  for (let round = -3; round < count; round += 1) {
    appendFileSync(source, `// ${process.pid} ${round}\n`);
    const homeMs = timeMs('g++', args, home);
    const farmMs = timeMs(launcher, args, process.env);
    if (round < 0) continue; // warming up
    atHome.push(homeMs);
    farm.push(farmMs);
  }
  return { atHomeMs: median(atHome), farmMs: median(farm) };
}

/** A program that does nothing, under the name of a compiler. */
function launcherInTurn(): { readonly programMs: number; readonly launcherMs: number; readonly stubMs: number } {
  const stand = join(dirname(answer), 'programs');
  spawnSync('mkdir', ['-p', stand]);
  copyFileSync('/bin/true', join(stand, 'g++'));
  const before = { ...process.env, PATH: `${stand}:${home.PATH}` };
  const times: { readonly [name in 'program' | 'launcher' | 'stub']: number[] } = {
    program: [],
    launcher: [],
    stub: [],
  };
  for (let round = 0; round < count; round += 1) {
    times.program.push(timeMs(join(stand, 'g++'), [], before));
    times.launcher.push(timeMs(launcher, [], before));
    times.stub.push(timeMs(process.execPath, [stub, 'g++'], before));
  }
  return { programMs: median(times.program), launcherMs: median(times.launcher), stubMs: median(times.stub) };
}

const result: OneFile = { compiles: count, ...compileInTurn(), ...launcherInTurn() };
writeFileSync(answer, JSON.stringify(result));

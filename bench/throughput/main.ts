// How many compiles a second the client keeps going when the farm is never what it waits for.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { makeCpuGroup } from '../cpu.ts';
import { makeNetwork } from '../hosts.ts';
import type { PartPlan } from '../part.ts';
import { aligned, goal } from '../report.ts';
import {
  calmJobs,
  compileMs,
  measureFarm,
  slots,
  type BuildFigures,
  type FarmFigures,
  type Ground,
  type Latency,
} from './farm.ts';
import { measureDistcc, type PeerFigures } from './distcc.ts';
import { compileWords, generateSources, type GeneratedTree } from './sources.ts';

const files = 5000;
// distcc preprocesses at home, for 0.1 s and more a file: its rate shows with fewer.
const peerFiles = 400;

export async function measureThroughput({ scratch, cache, tell }: PartPlan): Promise<string> {
  tell(`${files} sources`);
  const tree = generateSources(join(scratch, 'tree'), cache, files);
  const network = makeNetwork(1);
  const [workerHost] = network.workers;
  if (workerHost === undefined) throw new Error('no host for the farm');
  const groups = { client: makeCpuGroup('client'), farm: makeCpuGroup('farm') };
  const ground: Ground = {
    client: { host: network.client, group: groups.client },
    worker: { host: workerHost, group: groups.farm },
    scratch,
    tree,
  };
  try {
    const object = compileOne(tree, scratch);
    tell('shoal, by make and by a driver');
    const farm = await measureFarm(ground, object);
    tell(`${rate(farm.make).toFixed(0)} and ${rate(farm.driver).toFixed(0)} files/s; distcc`);
    const distcc = await measureDistcc(ground, object, peerFiles);
    return text(tree, farm, distcc);
  } finally {
    for (const group of Object.values(groups)) group.remove();
    network.remove();
  }
}

/** A real object, for the size of it. */
function compileOne({ directory, sources }: GeneratedTree, scratch: string): string {
  const [source = ''] = sources;
  const object = join(scratch, 'object.o');
  const words = compileWords(source).map((word) => (word.endsWith('.o') ? object : word));
  execFileSync(
    'g++',
    words.filter((word) => word !== '-MD'),
    { cwd: directory },
  );
  return object;
}

function rate({ files: count, wallMs }: Pick<BuildFigures, 'files' | 'wallMs'>): number {
  return (count / wallMs) * 1000;
}

function row(name: string, build: BuildFigures): readonly string[] {
  const per = (ms: number): string => (ms / build.files).toFixed(2);
  return [
    name,
    String(build.files),
    (build.wallMs / 1000).toFixed(1),
    rate(build).toFixed(0),
    per(build.clientCpuMs),
    per(build.daemon.cpuMs),
    per(build.farmCpuMs),
    build.daemon.peakMb.toFixed(0),
  ];
}

function peerRow(name: string, peer: PeerFigures): readonly string[] {
  const perFile = (peer.clientCpuMs / peer.files).toFixed(2);
  return [name, String(peer.files), (peer.wallMs / 1000).toFixed(1), rate(peer).toFixed(0), perFile, '-', '-', '-'];
}

function text(tree: GeneratedTree, farm: FarmFigures, distcc: PeerFigures): string {
  const { make, driver, full, calm, facts } = farm;
  const beyond = ({ p50Ms, p99Ms }: Latency): string => `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;
  const head = [
    'side',
    'files',
    'wall s',
    'files/s',
    'client CPU ms/file',
    'of that the daemon',
    'farm CPU ms/file',
    'daemon peak MB',
  ];
  const shown = [
    head,
    row('shoal make', make),
    row('shoal run, a driver of as many', driver),
    peerRow(`distcc lzo, make -j${slots + 1}`, distcc),
  ];
  const peakMb = Math.max(make.daemon.peakMb, driver.daemon.peakMb);
  return [
    `throughput: a stand-in farm of ${slots} slots on this machine that answers each Execute ${compileMs} ms after its slot was free, so ${(slots * 1000) / compileMs} a second at the most; ${tree.sources.length} sources, each over at least ${tree.leastHeaders} headers, -O2, all new to the farm; strict`,
    aligned(shown),
    [
      `farm: ${facts.executed} executed, each with an object of its own; the smallest tree of ${facts.leastFiles} files beside the toolchain's own, all of whose digests had come; ${facts.incomplete} times something had to be sent again; ${facts.mostAtOnce} at once`,
      `a launcher beyond the compile's ${compileMs} ms: ${beyond(calm)} with ${calmJobs} at once; ${beyond(full)} with ${slots}, which is as much as this machine's processors do`,
      'distcc: its distccd has as many jobs, and a compiler that sleeps as long; its sources are the first of the same',
    ].join('\n'),
    aligned([
      goal('whole build: at least 200 files/s', `${rate(make).toFixed(0)} files/s`, rate(make) >= 200, rate(make)),
      goal('daemon: at most 200 MB at its peak', `${peakMb.toFixed(0)} MB`, peakMb <= 200, peakMb),
    ]),
  ].join('\n\n');
}

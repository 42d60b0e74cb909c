// What is done to a worker while a build runs, and how the build has to end.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../bench/wait.ts';
import type { BuildOptions, Ground } from './ground.ts';
import {
  busy,
  cutLink,
  extraPort,
  jumping,
  jumpingClock,
  kill,
  killBelow,
  oneProcessor,
  restart,
  smallDisk,
  stopCompilers,
  stopProcess,
  type Stage,
} from './stage.ts';

export type Deed = {
  readonly name: string;
  readonly project: keyof Stage['projects'];
  readonly hosts: (ground: Ground) => readonly string[];
  /** Reasons of what comes home; none: all runs on workers. */
  readonly home?: readonly string[];
  readonly before?: (stage: Stage) => Promise<void>;
  readonly meanwhile?: (stage: Stage) => Promise<void>;
  readonly options?: (stage: Stage) => Omit<BuildOptions, 'hosts' | 'meanwhile'>;
};

const both = ({ hosts }: Ground): readonly string[] => [hosts.first, hosts.second];
const alone = ({ hosts }: Ground): readonly string[] => [hosts.first];
const extra = ({ farm }: Ground): string => `${farm.places[0]?.host.address}:${extraPort}/4`;
const lost = ['worker-lost', 'no-worker'] as const;
const patienceMs = 20_000;

const whenBusy =
  (act: (stage: Stage) => void | Promise<void>) =>
  async (stage: Stage): Promise<void> => {
    await busy(stage);
    await act(stage);
  };

const stopped: readonly Deed[] = [
  {
    name: 'a worker stands still in mid-build',
    project: 'heavy',
    hosts: both,
    meanwhile: whenBusy(stopProcess),
  },
  {
    name: 'a worker stands still in mid-build, no other',
    project: 'heavy',
    hosts: alone,
    home: lost,
    meanwhile: whenBusy(stopProcess),
  },
  {
    name: 'a worker stands still before the build',
    project: 'light',
    hosts: both,
    before: async (stage) => stopProcess(stage),
  },
];

// It answers whatever it is asked, and ends none of these jobs.
const endless: readonly Deed[] = [
  {
    name: 'the compilers of a worker stand still',
    project: 'heavy',
    hosts: both,
    meanwhile: whenBusy(stopCompilers),
  },
];

const gone: readonly Deed[] = [
  {
    name: 'nothing listens where a worker should be',
    project: 'light',
    hosts: ({ farm, hosts }) => [`${farm.places[0]?.host.address}:1/4`, hosts.second],
  },
  {
    name: 'nothing listens where the only worker should be',
    project: 'light',
    hosts: ({ farm }) => [`${farm.places[0]?.host.address}:1/4`],
    home: lost,
  },
  { name: 'the link goes down in mid-build', project: 'heavy', hosts: both, meanwhile: whenBusy(cutLink) },
  {
    name: 'the link goes down in mid-build, no other worker',
    project: 'heavy',
    hosts: alone,
    home: lost,
    meanwhile: whenBusy(cutLink),
  },
  { name: 'a worker is killed in mid-build', project: 'heavy', hosts: both, meanwhile: whenBusy(kill) },
  {
    name: 'a worker is stopped in order in mid-build',
    project: 'heavy',
    hosts: both,
    meanwhile: whenBusy(restart),
  },
  {
    name: 'the only worker is killed in mid-build and started again',
    project: 'heavy',
    hosts: alone,
    home: lost,
    meanwhile: whenBusy(async (stage) => {
      process.kill(stage.first.pid, 'SIGKILL');
      await restart(stage);
    }),
  },
  {
    name: 'the only worker is started anew between two halves of a build, with an empty store',
    project: 'light',
    hosts: alone,
    options: () => ({ command: ['run', '--', 'sh', '-c', halves] }),
    meanwhile: async (stage) => {
      const { directory } = stage.projects.light;
      await waitUntil('the first half', patienceMs, () => existsSync(join(directory, 'half')));
      rmSync(join(directory, 'half'));
      await stage.first.stop();
      rmSync(join(stage.ground.farm.directory, 'worker-1'), { recursive: true });
      await restart(stage);
      writeFileSync(join(directory, 'go'), '');
    },
  },
];

// A host that refused is asked again after a second, and after two.
const halves =
  'make -j4 --silent file0.o file1.o file2.o file3.o && touch half && ' +
  'while [ ! -e go ]; do sleep 0.05; done; rm go; sleep 4; make -j4 --silent';

const starved: readonly Deed[] = [
  {
    name: 'a compiler on a worker is killed',
    project: 'heavy',
    hosts: both,
    meanwhile: whenBusy((stage) => killBelow(stage, 'cc1', 1)),
  },
  {
    name: 'a compiler on the only worker is killed',
    project: 'heavy',
    hosts: alone,
    home: ['worker-full'],
    meanwhile: whenBusy((stage) => killBelow(stage, 'cc1', 1)),
  },
  {
    name: 'the sandboxes of a worker are killed',
    project: 'heavy',
    hosts: both,
    meanwhile: whenBusy((stage) => killBelow(stage, 'shoal-init', 100)),
  },
  {
    name: 'the disk of a worker is full',
    project: 'light',
    hosts: (ground) => [extra(ground), ground.hosts.second],
    before: (stage) => smallDisk(stage, 1),
  },
  {
    name: 'the disk of the only worker is full',
    project: 'light',
    hosts: (ground) => [extra(ground)],
    home: ['worker-full', ...lost],
    before: (stage) => smallDisk(stage, 1),
  },
  {
    name: 'a worker has one processor for eight compiles at once',
    project: 'heavy',
    hosts: (ground) => [extra(ground).replace('/4', '/8')],
    before: oneProcessor,
  },
  {
    name: 'an object is larger than a worker lets it be',
    project: 'huge',
    hosts: both,
    home: ['worker-full'],
  },
];

const confused: readonly Deed[] = [
  {
    name: 'the time of day jumps, here and on the only worker',
    project: 'light',
    hosts: (ground) => [extra(ground)],
    before: jumpingClock,
    options: () => ({ env: jumping }),
  },
];

export const deeds: readonly Deed[] = [...stopped, ...endless, ...gone, ...starved, ...confused];

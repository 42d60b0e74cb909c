// The tables of the part `replay`.
import { aligned, goal } from '../report.ts';
import type { Which } from '../side.ts';
import { spreadOf, spreadText, type Spread } from '../statistics.ts';
import type { Recording } from './recording.ts';

export type Build = {
  readonly which: Which;
  readonly wallMs: number;
  /** The share of all of the machine's processors that was in use. */
  readonly busy: number;
  readonly clientCpuMs: number;
  readonly workersCpuMs: number;
};

export type ProjectResult = {
  readonly name: string;
  readonly files: number;
  readonly boundMs: number;
  readonly inOrderMs: number;
  readonly recording: Recording;
  readonly results: readonly { readonly side: string; readonly builds: readonly Build[] }[];
};

const own = 'shoal';

export function replayText(projects: readonly ProjectResult[]): string {
  const rows = projects.flatMap((project) => project.results.flatMap((result) => rowsOf(project, result)));
  const head = [
    'project',
    'side',
    'build',
    'wall s',
    '× bound',
    '× in order',
    'client CPU ms/file',
    'workers CPU ms/file',
    'machine busy %',
  ];
  return [
    'replay: compiles that take as long as each really took, on 5 hosts of 8 slots, one of them half as fast, one behind 20 ms (10 each way); make -j40 for distcc and icecream, -j80, its own choice, for shoal make, nothing at home, sources new each time',
    aligned([head, ...rows]),
    [...projects.map(boundText), ...notes].join('\n'),
    aligned(projects.flatMap(goalsOf)),
  ].join('\n\n');
}

const notes: readonly string[] = [
  "a compile's time: its CPU time when it was recorded; of preprocessed text for distcc and icecream, whose hosts are sent that",
  "shoal's first build knows nothing of the project, the second has seen each file once with other contents, result cache off; its daemon's start and end count",
];

function rowsOf(project: ProjectResult, { side, builds }: ProjectResult['results'][number]): readonly string[][] {
  const kinds = [...new Set(builds.map(({ which }) => which))];
  return kinds.map((which) => {
    const same = builds.filter((build) => build.which === which);
    const wall = wallOf(same);
    const per = (ms: (build: Build) => number): string =>
      spreadOf(same.map((build) => ms(build) / project.files)).median.toFixed(1);
    const times = (ms: number): string => ((wall.median * 1000) / ms).toFixed(2);
    const ratios = [times(project.boundMs), times(project.inOrderMs)];
    const cpu = [per((build) => build.clientCpuMs), per((build) => build.workersCpuMs)];
    const busy = (spreadOf(same.map((build) => build.busy)).median * 100).toFixed(0);
    return [project.name, side, which, spreadText(wall, 2), ...ratios, ...cpu, busy];
  });
}

const wallOf = (builds: readonly Build[]): Spread => spreadOf(builds.map(({ wallMs }) => wallMs / 1000));

function boundText({ name, files, boundMs, inOrderMs, recording }: ProjectResult): string {
  const total = (field: 'wholeUs' | 'textUs'): string =>
    (recording.entries.reduce((sum, entry) => sum + entry[field], 0) / 1e6).toFixed(1);
  const longest = Math.max(...recording.entries.map(({ wholeUs }) => wholeUs)) / 1e6;
  return `${name}: ${files} files, ${total('wholeUs')} s of compiles (${total('textUs')} s of preprocessed text), the longest ${longest.toFixed(2)} s: no order of them takes less than ${(boundMs / 1000).toFixed(2)} s, and make's order, 40 at once, no less than ${(inOrderMs / 1000).toFixed(2)} s`;
}

function goalsOf({ name, boundMs, results }: ProjectResult): readonly (readonly string[])[] {
  const median = (builds: readonly Build[]): number => wallOf(builds).median;
  const peers = results.filter(({ side }) => side !== own).map(({ builds }) => median(builds));
  const peer = Math.min(...peers);
  const builds = results.find(({ side }) => side === own)?.builds ?? [];
  return (['first', 'second'] as const).flatMap((which) => {
    const wall = median(builds.filter((build) => build.which === which));
    const [share, over] = [wall / peer, (wall * 1000) / boundMs];
    return [
      goal(`${name}, ${which}: at most 0.8 × the better of distcc and icecream`, share.toFixed(2), share <= 0.8, share),
      goal(`${name}, ${which}: at most 1.15 × the bound`, over.toFixed(2), over <= 1.15, over),
    ];
  });
}

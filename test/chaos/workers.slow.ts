// Whatever happens to a worker: stopped, killed, cut off, out of disk or memory, started again, its clock or the client's
// jumping. The build ends as at home, in time, with nothing left, and says what came home and why.
import assert from 'node:assert/strict';
import test from 'node:test';
import { join } from 'node:path';
import { waitUntil } from '../../bench/wait.ts';
import { deeds, type Deed } from './deeds.ts';
import { groundFor, type Built } from './ground.ts';
import { writeProject, type Project } from './project.ts';
import type { Stage } from './stage.ts';
import { tableOf, type Row } from './table.ts';

// A worker that fell silent is found out within ten seconds; what ran there is then done again, all of it at the worst, on a
// machine that has the other worker on it as well.
const silenceMs = 12_000;
const mostBuilds = 4;

test('a build whose worker is in trouble ends as at home', async (t) => {
  const ground = await groundFor(t);
  const directory = (name: string): string => join(ground.farm.directory, name);
  const projects = {
    light: writeProject(directory('light'), { files: 12, functions: 10 }),
    heavy: writeProject(directory('heavy'), { files: 8, functions: 350 }),
    huge: writeProject(directory('huge'), { files: 1, functions: 1, bytes: 300e6 }),
  };
  const [first] = ground.farm.workers;
  assert.ok(first !== undefined);
  const stage: Stage = { ground, projects, first, undo: [] };
  t.after(() => stage.first.stop());
  const usual = new Map<Project, number>();
  for (const project of Object.values(projects)) {
    const atHomeMs = await ground.buildAtHome(project);
    const { wallMs } = await ground.build(project, { hosts: [ground.hosts.first, ground.hosts.second] });
    usual.set(project, Math.max(wallMs, atHomeMs));
  }
  const rows: Row[] = [];
  // SHOAL_DEED=text: those whose name has it.
  const wanted = process.env['SHOAL_DEED'] ?? '';
  for (const deed of deeds.filter(({ name }) => name.includes(wanted))) {
    await t.test(deed.name, async () => {
      const built = await perform(stage, deed);
      const extraMs = built.wallMs - (usual.get(projects[deed.project]) ?? 0);
      rows.push({ name: deed.name, extraMs, struck: 1, summary: built.summary });
      const about = JSON.stringify(built.summary);
      const boundMs = silenceMs + mostBuilds * (usual.get(projects[deed.project]) ?? 0);
      assert.ok(built.wallMs < boundMs, `${built.wallMs} ms, not ${boundMs}: ${about}`);
      endsAsItShould(deed, built, about);
      await waitUntil('workers without a compile', 5000, () => !ground.farm.workerProcesses().some(isCompiler));
    });
  }
  console.log(tableOf('', rows));
});

const isCompiler = ({ command }: { readonly command: string }): boolean => /\/cc1 /.test(command);

async function perform(stage: Stage, deed: Deed): Promise<Built> {
  try {
    await deed.before?.(stage);
    const { ground, projects } = stage;
    const { meanwhile } = deed;
    return await ground.build(projects[deed.project], {
      hosts: deed.hosts(ground),
      ...deed.options?.(stage),
      ...(meanwhile === undefined ? {} : { meanwhile: () => meanwhile(stage) }),
    });
  } finally {
    for (const undo of stage.undo.splice(0).toReversed()) await undo();
  }
}

function endsAsItShould({ home }: Deed, { summary }: Built, about: string): void {
  const why = Object.keys(summary.reasons).filter((reason) => reason !== 'sooner-here');
  const other = why.filter((reason) => home?.includes(reason) !== true);
  assert.deepEqual(other, [], about);
  if (home !== undefined) assert.ok(why.length > 0, `nothing came home: ${about}`);
}

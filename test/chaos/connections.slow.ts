// Whatever happens on the line to a worker, or comes back from it: the build ends as at home, in time, with nothing left,
// and says what came home and why.
import assert from 'node:assert/strict';
import test from 'node:test';
import { join } from 'node:path';
import { cases, type Case } from './cases.ts';
import { groundFor, type Built, type Ground } from './ground.ts';
import { writeProject } from './project.ts';
import { tableOf, type Row } from './table.ts';

// A host that fell silent is found out within ten seconds, and the job then has the build's usual way before it.
const mostExtraMs = 14_000;

test('a build with a faulty worker ends as at home', async (t) => {
  const ground = await groundFor(t);
  const project = writeProject(join(ground.farm.directory, 'project'), { files: 12, functions: 10 });
  await ground.buildAtHome(project);
  const { proxied, second } = ground.hosts;
  await ground.build(project, { hosts: [proxied, second] });
  const usual = await ground.build(project, { hosts: [proxied, second] });
  assert.equal(usual.summary.fallbacks, 0, usual.output);
  const rows: Row[] = [];
  for (const one of cases) {
    await t.test(one.name, async () => {
      const { built, struck } = await suffer(ground, one, () =>
        ground.build(project, { hosts: one.hosts === 'both' ? [proxied, second] : [proxied] }),
      );
      rows.push({ name: one.name, extraMs: built.wallMs - usual.wallMs, struck, summary: built.summary });
      const about = JSON.stringify(built.summary);
      assert.ok(built.wallMs < usual.wallMs + mostExtraMs, `${built.wallMs} ms`);
      if (one.fault.kind !== 'line') assert.ok(struck > 0, `it never came to that: ${about}`);
      endsAsItShould(one, built, about);
    });
  }
  console.log(tableOf(`the usual build: ${usual.wallMs.toFixed(0)} ms`, rows));
});

async function suffer(
  ground: Ground,
  { fault }: Case,
  build: () => Promise<Built>,
): Promise<{ readonly built: Built; readonly struck: number }> {
  await ground.setFault(fault);
  try {
    const built = await build();
    return { built, struck: await ground.setFault({ kind: 'none' }) };
  } catch (error) {
    await ground.setFault({ kind: 'none' });
    throw error;
  }
}

function endsAsItShould({ ends }: Case, { summary }: Built, about: string): void {
  const why = Object.keys(summary.reasons).filter((reason) => reason !== 'sooner-here');
  switch (ends.kind) {
    case 'on-workers':
      assert.deepEqual(why, [], about);
      return;
    case 'home':
      assert.ok(why.length > 0 && summary.local > 0, `nothing came home: ${about}`);
      assert.deepEqual(
        why.filter((reason) => !ends.reasons.includes(reason)),
        [],
        about,
      );
      return;
  }
}

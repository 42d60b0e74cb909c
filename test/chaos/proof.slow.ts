// A worker that returns sound objects of other code: nothing but a second compile can tell, and one in so many has it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Summary } from '../../src/observe/tally.ts';
import { always } from './fault.ts';
import { groundFor } from './ground.ts';
import { writeProject } from './project.ts';

test('a host whose objects are not what this box makes is set aside, with the section named', async (t) => {
  const ground = await groundFor(t);
  const project = writeProject(join(ground.farm.directory, 'project'), { files: 12, functions: 10 });
  await ground.buildAtHome(project);
  const { proxied, second } = ground.hosts;
  const file = join(ground.farm.directory, 'proof.json');
  const env = { SHOAL_HOSTS: `${proxied} ${second}`, SHOAL_SUMMARY: file, SHOAL_RESULT_CACHE: 'off' };
  const build = async (command: readonly string[], verify: string): Promise<Summary & { readonly output: string }> => {
    project.renew();
    const { status, output } = await ground.farm.shoal(command, {
      cwd: project.directory,
      env: { ...env, SHOAL_VERIFY: verify },
    });
    assert.equal(status, 0, output);
    assert.deepEqual(ground.farm.remains(), []);
    return { ...(JSON.parse(readFileSync(file, 'utf8')) as Summary), output };
  };
  const sound = await build(['run', '--', 'sh', '-c', 'make -j8 --silent; sleep 2'], '1/1');
  assert.deepEqual(sound.differences, []);
  await ground.setFault({ kind: 'answers', action: 'object of other code', times: always });
  const lying = await build(['run', '--', 'sh', '-c', 'make -j8 --silent; sleep 5'], '1/1');
  const name = proxied.split('/')[0] ?? '';
  assert.ok(lying.differences.length > 0, lying.output);
  assert.ok(lying.differences.every(({ host, section }) => host === name && section.startsWith('.text')));
  assert.match(lying.output, new RegExp(`WRONG: ${name} returned another object of .* than this box makes \\(\\.text`));
  const next = await build(['make', '-j8', '--silent'], 'off');
  assert.equal(next.hosts[name]?.jobs ?? 0, 0, 'the next build does not use it');
  const { output } = await ground.farm.shoal(['hosts'], { cwd: project.directory, env });
  assert.match(output, new RegExp(`${name} .*set aside: its object of .* differs from this box's in \\.text`));
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { compileOf, onGround, programOf, shellOf, type Ground } from '../../../test/attack/ground.ts';
import { actionBlobs, type ActionSpec } from '../../../test/worker/rig.ts';
import { grpcCode } from '../../reapi/errors.ts';
import { commandsFor, type Commands } from './commands.ts';

const source = { 'x.c': 'int f(void) { return 1; }\n' };

async function ends(ground: Ground, spec: ActionSpec): Promise<number | string> {
  const outcome = await ground.running.run(actionBlobs(spec));
  if (outcome.kind === 'done') return outcome.result.exitCode;
  return outcome.kind === 'failed' && outcome.code === grpcCode.PERMISSION_DENIED ? 'denied' : JSON.stringify(outcome);
}

test('what an action may begin with is what --commands says', async () => {
  const allowed: Readonly<Record<Commands, readonly (number | string)[]>> = {
    own: [0, 'denied', 'denied', 'denied'],
    shipped: [0, 0, 'denied', 0],
    any: [0, 0, 0, 0],
  };
  for (const [commands, wanted] of Object.entries(allowed) as [Commands, readonly (number | string)[]][]) {
    await onGround({ commands }, async (ground) => {
      const compile = compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], source);
      const hiding = { ...compile.tree, [ground.toolchain.driver.slice(1)]: { program: ground.attacker } };
      const specs = [compile, programOf(ground, ['rights']), shellOf('true'), { ...compile, tree: hiding }];
      for (const [at, spec] of specs.entries()) assert.equal(await ends(ground, spec), wanted[at], `${commands} ${at}`);
    });
  }
});

test('where only own compilers run, the name of the program is not the client’s', () =>
  onGround({ commands: 'own' }, async (ground) => {
    const compile = compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], {
      ...source,
      '/attacker': { program: ground.attacker },
    });
    const outcome = await ground.running.run(actionBlobs({ ...compile, argv: ['/attacker', 'rights'] }));
    assert.ok(outcome.kind === 'done');
    assert.match(outcome.result.stderrRaw.toString(), /^attacker: fatal error: .*liblto_plugin|rights: No such file/);
  }));

test('members may use what is named by content, others any tool, unless the worker says', () => {
  const member = { kind: 'member', name: 'm', role: 'client', serial: '1' } as const;
  assert.equal(commandsFor(undefined, member), 'shipped');
  assert.equal(commandsFor(undefined, { kind: 'local' }), 'any');
  assert.equal(commandsFor(undefined, { kind: 'stranger', address: '::1' }), 'any');
  assert.equal(commandsFor('own', { kind: 'local' }), 'own');
  assert.equal(commandsFor('any', member), 'any');
});

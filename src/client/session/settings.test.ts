// What a build asks of the farm is its own, whoever started the daemon.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { settingVariables } from './settings.ts';

test('a daemon that a launcher starts keeps none of the variables that settings are made from', () => {
  const source = readFileSync(new URL('../../../../launcher/daemon.c', import.meta.url), 'utf8');
  const list = /not_for_the_daemon\[\] = \{([^}]*)\}/.exec(source)?.[1] ?? '';
  const dropped = new Set([...list.matchAll(/"(\w+)"/g)].map(([, name]) => name));
  assert.deepEqual(
    settingVariables.filter((name) => !dropped.has(name)),
    [],
  );
});

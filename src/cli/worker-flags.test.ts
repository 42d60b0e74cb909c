import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { workerStateDir } from '../user-directories.ts';
import { parseListen } from './listen.ts';
import { parseSize, parseWorkerArgs } from './worker-flags.ts';

test('addresses are read with and without port, and in version 6', () => {
  assert.deepEqual(parseListen('10.0.0.2:99'), { host: '10.0.0.2', port: 99 });
  assert.deepEqual(parseListen('box'), { host: 'box', port: 8475 });
  assert.deepEqual(parseListen('[::1]:7'), { host: '::1', port: 7 });
  for (const wrong of ['', ':8475', '::1', 'a b:1', 'box:70000', 'box:x', '[::1]x'])
    assert.equal(parseListen(wrong), undefined);
});

test('sizes are read with their units', () => {
  assert.deepEqual(['0', '17', '2K', '3m', '10G', '1T'].map(parseSize), [0, 17, 2048, 3 << 20, 10 * 2 ** 30, 2 ** 40]);
  for (const wrong of ['', 'G', '1.5G', '-1', '10GB']) assert.equal(parseSize(wrong), undefined);
});

test('without arguments the worker has the usual state, and where it listens follows from its identity', () => {
  const settings = parseWorkerArgs([], { XDG_STATE_HOME: '/s' });
  assert.ok(typeof settings === 'object');
  assert.equal(settings.listen, undefined);
  assert.equal(settings.stateDir, '/s/shoal/worker');
  assert.equal(settings.audit, '/s/shoal/worker/audit.log');
  assert.equal(settings.insecure, false);
  assert.ok(settings.slots >= 1);
  assert.match(workerStateDir({ XDG_STATE_HOME: 'relative' }), /^\/.*\/\.local\/state\/shoal\/worker$/);
});

test('the services of packaging/ start a worker with options that it takes', () => {
  for (const service of ['systemd/shoal-worker.service', 'openrc/shoal-worker']) {
    const text = readFileSync(new URL(`../../../packaging/${service}`, import.meta.url), 'utf8');
    const words = /^(?:ExecStart=|command_args=").*?shoal worker ([^"\n]*)/m.exec(text)?.[1] ?? '';
    const settings = parseWorkerArgs(words.split(' '), {});
    assert.ok(typeof settings === 'object', service);
    assert.deepEqual([settings.stateDir, settings.audit], ['/var/lib/shoal', '/var/log/shoal/audit.log']);
  }
});

test('what cannot be meant is named', () => {
  for (const args of [
    ['--slots', '0'],
    ['--slots', 'x'],
    ['--listen', ':1'],
    ['--store-size', 'x'],
    ['--weight', 'anna'],
    ['--weight', '=2'],
    ['--weight', 'anna=0'],
    ['--nonsense'],
    ['--tls-cert', 'alone'],
    ['word'],
  ]) {
    assert.equal(typeof parseWorkerArgs(args, {}), 'string', args.join(' '));
  }
  const settings = parseWorkerArgs(['--listen', '0.0.0.0:1', '--listen', '[::]:2', '--insecure', '--slots=7'], {});
  assert.ok(typeof settings === 'object');
  const weighed = parseWorkerArgs(['--weight', 'ci=0.5', '--weight', 'local=2'], {});
  assert.ok(typeof weighed === 'object');
  assert.deepEqual(Object.fromEntries(weighed.weights), { 'member ci': 0.5, local: 2 });
  for (const [file, meant] of [
    ['off', undefined],
    ['/var/log/shoal/audit.log', '/var/log/shoal/audit.log'],
  ] as const) {
    const settings = parseWorkerArgs(['--audit', file], {});
    assert.ok(typeof settings === 'object' && settings.audit === meant);
  }
  assert.deepEqual([settings.listen?.length, settings.insecure, settings.slots], [2, true, 7]);
});

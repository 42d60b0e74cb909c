import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distccHostSource } from './host-source.ts';

const files =
  (contents: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    contents[path];

test('DISTCC_HOSTS comes first, even if empty', () => {
  const read = files({ '/home/me/.distcc/hosts': 'a' });
  assert.deepEqual(distccHostSource({ DISTCC_HOSTS: '', HOME: '/home/me' }, read), {
    kind: 'found',
    from: 'DISTCC_HOSTS',
    text: '',
  });
});

test('then the directory of the user, in place of which DISTCC_DIR stands, then /etc', () => {
  const read = files({ '/home/me/.distcc/hosts': 'home', '/etc/distcc/hosts': 'etc', '/d/hosts': '' });
  const from = (env: Readonly<Record<string, string>>): string | undefined => {
    const source = distccHostSource(env, read);
    return source.kind === 'found' ? source.text : undefined;
  };
  assert.equal(from({ HOME: '/home/me' }), 'home');
  assert.equal(from({ HOME: '/home/me', DISTCC_DIR: '/d' }), '');
  assert.equal(from({ HOME: '/home/me', DISTCC_DIR: '/other' }), 'etc');
  assert.equal(from({}), 'etc');
});

test('where nothing is found it is told where it was looked for', () => {
  assert.deepEqual(distccHostSource({ HOME: '/home/me' }, files({})), {
    kind: 'none',
    looked: ['DISTCC_HOSTS', '/home/me/.distcc/hosts', '/etc/distcc/hosts'],
  });
});

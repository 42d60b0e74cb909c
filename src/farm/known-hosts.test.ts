import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepAddresses } from '../trust/addresses.ts';
import { knownHosts } from './known-hosts.ts';

test('an identity that cannot be used still names the hosts, so that each says what is wrong with it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-known-'));
  try {
    chmodSync(directory, 0o700);
    keepAddresses(directory, ['10.0.0.2:8475', '10.0.0.1:8475']);
    const broken = { kind: 'broken', directory, why: 'it is open to others', remedy: 'chmod' } as const;
    const names = (trust: Parameters<typeof knownHosts>[1], heard: readonly string[] = []): readonly string[] =>
      knownHosts('/run/worker.sock', trust, heard).map(({ name }) => name);
    assert.deepEqual(names(broken, ['10.0.0.9:8475']), ['this box', '10.0.0.1:8475', '10.0.0.2:8475']);
    assert.deepEqual(names({ ...broken, directory: '' }), ['this box']);
    assert.deepEqual(names({ kind: 'none' }, ['10.0.0.9:8475']), ['this box']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

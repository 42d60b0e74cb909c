// The page of counters: the same fields in the same order as stock distccd's.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { exchange } from './client.ts';
import { startOurs, startStock } from './programs.ts';

async function fieldsAt(port: number): Promise<readonly string[]> {
  // What stock distccd answers is not quite HTTP.
  const text = (
    await exchange(port, Buffer.from('GET / HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n'))
  ).toString();
  const page = text.slice(text.indexOf('<distccstats>'), text.indexOf('</distccstats>'));
  return page.split('\n').map((line) => line.split(' ')[0] ?? '');
}

test('the fields of --stats are those of stock distccd', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-stats-'));
  chmodSync(directory, 0o755);
  const [stock, own] = [
    await startStock({ directory, args: ['--stats', '--stats-port', '3643'] }),
    await startOurs({ directory, args: ['--stats', '--stats-port', '3644'] }),
  ];
  try {
    const theirs = await fieldsAt(3643);
    assert.ok(theirs.length > 20, theirs.join(' '));
    assert.deepEqual(await fieldsAt(3644), theirs);
  } finally {
    await Promise.all([stock.stop(), own.stop()]);
    rmSync(directory, { recursive: true, force: true });
  }
});

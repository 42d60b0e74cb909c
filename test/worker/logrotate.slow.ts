// packaging/logrotate/shoal, by the real logrotate: no line is lost over a rotation, and the new file is the worker's own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openAuditLog } from '../../src/observe/audit-log.ts';
import { realClock } from '../../src/observe/clock.ts';
import { inDirectory } from './rig.ts';

const example = readFileSync(fileURLToPath(new URL('../../../packaging/logrotate/shoal', import.meta.url)), 'utf8');

test('the audit log goes on in a new file after logrotate moved it, and every line is in one of the two', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'audit.log');
    const config = join(directory, 'config');
    writeFileSync(config, example.replaceAll('/var/log/shoal/audit.log', path));
    const rotate = (): void => {
      execFileSync('logrotate', ['--force', '--state', join(directory, 'status'), config], { stdio: 'pipe' });
    };
    const log = openAuditLog({ path, clock: realClock, now: () => Date.now() });
    const note = async (name: string): Promise<void> => {
      log.audit({ event: 'revoked', name });
      await log.flush();
    };
    await note('one');
    rotate();
    await note('two');
    rotate();
    log.reopen();
    await note('three');
    await log.close();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const namesIn = (file: string): string[] =>
      (file.endsWith('.gz') ? execFileSync('gzip', ['-dc', file]).toString() : readFileSync(file, 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly name: string }).name);
    assert.deepEqual([path, `${path}.1`, `${path}.2.gz`].flatMap(namesIn), ['three', 'two', 'one']);
  }));

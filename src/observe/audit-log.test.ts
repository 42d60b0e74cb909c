import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { lineOf, openAuditLog, type AuditEvent, type AuditLog } from './audit-log.ts';
import { realClock } from './clock.ts';

type Place = { readonly path: string; readonly directory: string; readonly log: AuditLog };

async function withLog(body: (place: Place) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-audit-'));
  const path = join(directory, 'audit.log');
  const log = openAuditLog({ path, clock: realClock, now: () => 0 });
  try {
    await body({ path, directory, log });
  } finally {
    await log.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

type Line = Readonly<Record<string, unknown>>;
const linesIn = (path: string): Line[] => {
  const text = readFileSync(path, 'utf8');
  assert.ok(text.endsWith('\n'));
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
};

const refused = (name: string): AuditEvent => ({ event: 'peer-refused', address: '10.0.0.9', name, why: 'revoked' });

test('a job is one line: who, when, what, how it ended and what it took', () =>
  withLog(async ({ path, log }) => {
    const result = { kind: 'ran', exitCode: 0, cpuMs: 310, wallMs: 340, peakKb: 60_000, outputBytes: 12 } as const;
    const peer = { kind: 'member', name: 'anna', role: 'client', serial: '7f' } as const;
    log.audit({ event: 'job', peer, action: 'ab', toolchain: 'cd', result });
    await log.flush();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(linesIn(path), [
      {
        time: '1970-01-01T00:00:00.000Z',
        event: 'job',
        client: 'member',
        name: 'anna',
        role: 'client',
        serial: '7f',
        action: 'ab',
        toolchain: 'cd',
        result: 'ran',
        exitCode: 0,
        cpuMs: 310,
        wallMs: 340,
        peakKb: 60_000,
        outputBytes: 12,
      },
    ]);
  }));

test('whatever a peer calls itself stays within one line of bounded length', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (name) => {
      const line = lineOf(refused(name), 0);
      assert.equal(line.indexOf('\n'), line.length - 1);
      assert.ok(line.length < 2200);
      assert.equal((JSON.parse(line) as Line)['event'], 'peer-refused');
    }),
  );
});

test('a file that was moved away, or whose reopening was asked for, is followed by a new one', () =>
  withLog(async ({ path, log }) => {
    log.audit(refused('one'));
    await log.flush();
    renameSync(path, `${path}.1`);
    log.audit(refused('two'));
    await log.flush();
    rmSync(path);
    log.reopen();
    log.audit(refused('three'));
    await log.flush();
    assert.deepEqual(
      [...linesIn(`${path}.1`), ...linesIn(path)].map(({ name }) => name),
      ['one', 'three'],
    );
  }));

test('what cannot be written is dropped, and the next line that can be says how many', () =>
  withLog(async ({ path, log }) => {
    mkdirSync(path);
    log.audit(refused('one'));
    log.audit(refused('two'));
    await log.flush();
    rmSync(path, { recursive: true });
    log.audit(refused('three'));
    await log.flush();
    const [note, line] = linesIn(path);
    assert.deepEqual([note?.['event'], note?.['lines'], line?.['name']], ['dropped', 2, 'three']);
  }));

test('a flood between two writes is bounded, and counted', () =>
  withLog(async ({ path, log }) => {
    for (let n = 0; n < 20_000; n += 1) log.audit(refused('x'.repeat(200)));
    await log.flush();
    assert.ok(statSync(path).size <= 1 << 20);
    const [note, ...lines] = linesIn(path);
    assert.equal(note?.['event'], 'dropped');
    assert.equal(Number(note['lines']) + lines.length, 20_000);
  }));

test('a link or a FIFO in the place of the file is not followed, and holds nothing up', () =>
  withLog(async ({ path, directory, log }) => {
    symlinkSync(join(directory, 'elsewhere'), path);
    log.audit(refused('one'));
    await log.flush();
    assert.ok(!existsSync(join(directory, 'elsewhere')));
    rmSync(path);
    execFileSync('mkfifo', [path]);
    log.audit(refused('two'));
    await log.flush();
    rmSync(path);
    log.audit(refused('three'));
    await log.flush();
    assert.deepEqual(
      linesIn(path).map(({ event }) => event),
      ['dropped', 'peer-refused'],
    );
  }));

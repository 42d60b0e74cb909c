import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { closeCode, CodeError, codeLifetimeMs, findCode, newCode } from './code-files.ts';
import type { Identity } from './identity.ts';
import { makeFarm } from './make-farm.ts';
import { decodePairingCode } from './pairing-code.ts';

const scratch = mkdtempSync(join(tmpdir(), 'codes-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const nowMs = Date.now();
const dayMs = 86_400_000;

async function newFarm(): Promise<Identity & { readonly directory: string }> {
  const directory = join(mkdtempSync(join(scratch, 'farm-')), 'identity');
  const farm = await makeFarm(directory, 'admin-1', nowMs);
  assert.ok(farm.kind === 'identity');
  return { ...farm, directory };
}

function secretOf(text: string): Buffer {
  const decoded = decodePairingCode(text);
  assert.ok(decoded.kind === 'code');
  return decoded.code.secret;
}

test('a code waits for ten minutes, is then told to be late for a day, and then forgotten', async () => {
  const farm = await newFarm();
  const secret = secretOf(newCode(farm, 'worker', nowMs).text);
  const kindAt = (at: number): string => findCode(farm.directory, secret, at).kind;
  assert.equal(kindAt(nowMs), 'pending');
  assert.equal(kindAt(nowMs + codeLifetimeMs - 1), 'pending');
  assert.equal(kindAt(nowMs + codeLifetimeMs), 'expired');
  assert.equal(kindAt(nowMs + dayMs), 'expired');
  assert.equal(kindAt(nowMs + 2 * dayMs), 'wrong');
  assert.deepEqual(readdirSync(join(farm.directory, 'codes')), []);
});

test('a code is claimed once, also by two who found it waiting, and never comes back', async () => {
  const farm = await newFarm();
  const secret = secretOf(newCode(farm, 'client', nowMs).text);
  const [one, two] = [findCode(farm.directory, secret, nowMs), findCode(farm.directory, secret, nowMs)];
  assert.ok(one.kind === 'pending' && two.kind === 'pending');
  assert.equal(closeCode(farm.directory, one.code, 'used'), true);
  assert.equal(closeCode(farm.directory, two.code, 'used'), false);
  // As a worker that is killed right after the claim leaves it.
  assert.equal(findCode(farm.directory, secret, nowMs).kind, 'used');
});

test('a file that others could have planted or read is no code', async () => {
  const farm = await newFarm();
  const codes = join(farm.directory, 'codes');
  const secret = secretOf(newCode(farm, 'admin', nowMs).text);
  const [name = ''] = readdirSync(codes);
  const path = join(codes, name);
  chmodSync(path, 0o644);
  assert.equal(findCode(farm.directory, secret, nowMs).kind, 'wrong');
  chmodSync(path, 0o600);
  renameSync(path, join(scratch, name));
  symlinkSync(join(scratch, name), path);
  assert.equal(findCode(farm.directory, secret, nowMs).kind, 'wrong');
  rmSync(path);
  // The hash is of the code's own name: a copy under another is another code.
  copyFileSync(join(scratch, name), join(codes, `${name.slice(0, -1)}${name.endsWith('0') ? '1' : '0'}`));
  assert.equal(findCode(farm.directory, secret, nowMs).kind, 'wrong');
  writeFileSync(join(codes, '0123456789abcdef'), '{"role":"admin"}', { mode: 0o600 });
  writeFileSync(join(codes, '0123456789abcdee'), 'x'.repeat(9999), { mode: 0o600 });
  assert.equal(findCode(farm.directory, secret, nowMs).kind, 'wrong');
  renameSync(join(scratch, name), path);
  assert.equal(findCode(farm.directory, secret, nowMs).kind, 'pending');
});

test('only so many codes wait at once', async () => {
  const farm = await newFarm();
  for (let count = 0; count < 64; count += 1) newCode(farm, 'client', nowMs);
  assert.throws(() => newCode(farm, 'client', nowMs), CodeError);
  newCode(farm, 'client', nowMs + codeLifetimeMs);
});

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { FarmReport } from '../../src/cli/members.ts';
import { loadIdentity } from '../../src/trust/identity.ts';
import { admitOthers, shoal } from './shoal.ts';
import { copyDirectory } from './copy.ts';

const scratch = mkdtempSync(join(tmpdir(), 'commands-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const newBox = (): string => mkdtempSync(join(scratch, 'box-'));
const workerIdentity = (box: string): string => join(box, 'shoal', 'worker', 'identity');

async function pair(box: string, ...args: readonly string[]): Promise<string> {
  const paired = await shoal(box, 'pair', ...args);
  assert.equal(paired.status, 0, paired.stderr);
  return paired.stdout.trim();
}

test('pair makes a farm, prints the code alone on stdout, and says what to type where', async () => {
  const box = newBox();
  const paired = await shoal(box, 'pair');
  assert.equal(paired.status, 0, paired.stderr);
  assert.match(paired.stdout, /^([0-9A-Z]{4}-){6}[0-9A-Z]{4}\n$/);
  assert.match(paired.stderr, new RegExp(`shoal join ${paired.stdout.trim()} \\S+`));
  assert.match(paired.stderr, /expires in 10 minutes/);
  assert.match(paired.stderr, /No worker runs here/);
  const identity = loadIdentity(workerIdentity(box));
  assert.ok(identity.kind === 'identity');
  const [code = ''] = readdirSync(join(workerIdentity(box), 'codes'));
  const file = join(workerIdentity(box), 'codes', code);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(readFileSync(file, 'utf8').includes(paired.stdout.trim().slice(-12)), false);
  await pair(box);
  const again = loadIdentity(workerIdentity(box));
  assert.equal(again.kind === 'identity' && again.fingerprint, identity.fingerprint);
  assert.match((await shoal(box, 'pair', '--role', 'king')).stderr, /--role king: not client, worker or admin/);
});

test('a box joins, is listed, and is put out', async () => {
  const [admin, client, worker] = [newBox(), newBox(), newBox()];
  const code = await pair(admin);
  const server = await admitOthers(workerIdentity(admin));
  try {
    const host = `127.0.0.1:${server.port}`;
    const joined = await shoal(client, 'join', code.toLowerCase(), host, '--name', 'eva');
    assert.equal(joined.status, 0, joined.stderr);
    assert.match(joined.stdout, /^joined shoal farm of \S+ as eva \(client\)/);
    assert.match(joined.stderr, /fingerprint +([0-9a-f]{4} ){7}[0-9a-f]{4}\n/);
    assert.match(joined.stderr, /this box +eva, as client/);
    assert.equal(loadIdentity(join(client, 'shoal', 'identity')).kind, 'identity');

    const asWorker = await shoal(
      worker,
      'join',
      await pair(admin, '--role', 'worker'),
      host,
      '--name',
      'box-2',
      '--yes',
    );
    assert.equal(asWorker.status, 0, asWorker.stderr);
    assert.equal(loadIdentity(workerIdentity(worker)).kind, 'identity');
    assert.match((await shoal(worker, 'pair')).stderr, /this box is a worker of .*run `shoal pair` on an admin's box/);

    assert.equal((await shoal(admin, 'revoke', 'eva')).stdout, 'revoked eva (client)\n');
    const { members, revocations } = JSON.parse((await shoal(admin, 'members', '--json')).stdout) as FarmReport;
    assert.equal(revocations, 1);
    assert.deepEqual(
      members.filter(({ thisBox }) => !thisBox).map((row) => [row.name, row.role, row.revoked !== undefined]),
      [
        ['box-2', 'worker', false],
        ['eva', 'client', true],
      ],
    );
    const text = (await shoal(admin, 'members')).stdout;
    assert.match(text, /this box/);
    assert.match(text, /eva +client +20..-..-.. +- +revoked 20/);
    assert.equal((await shoal(admin, 'revoke', 'eva')).status, 1);
  } finally {
    server.close();
  }
});

test('what goes wrong says what happened and what to do', async () => {
  const [admin, other, client] = [newBox(), newBox(), newBox()];
  const code = await pair(admin);
  const otherCode = await pair(other);
  const server = await admitOthers(workerIdentity(admin));
  const host = `127.0.0.1:${server.port}`;
  const fails = async (status: number, expected: RegExp, ...args: readonly string[]): Promise<void> => {
    const ran = await shoal(client, ...args);
    assert.match(ran.stderr, expected);
    assert.equal(ran.status, status, ran.stderr);
    assert.equal(ran.stdout, '');
  };
  try {
    await fails(2, /which code\?.*shoal pair/, 'join');
    await fails(1, /no box of that farm is seen on this network\n.*shoal join CODE HOST/, 'join', code);
    await fails(2, /the code is mistyped: it has 27 characters/, 'join', code.slice(1), host);
    await fails(
      2,
      /the code is mistyped: a character is wrong/,
      'join',
      code.replace(/^./, (c) => (c === '0' ? '1' : '0')),
      host,
    );
    await fails(2, /--name a b/, 'join', code, host, '--name', 'a b');
    await fails(2, /not HOST or HOST:PORT/, 'join', code, 'a:b:c:99999z');
    await fails(1, /cannot reach 127.0.0.1:1 .*\n.*firewall/, 'join', code, '127.0.0.1:1');
    await fails(1, /not of the farm that the code is for\n.*pretends.*Nothing was sent/, 'join', otherCode, host);
    await fails(1, /in no farm/, 'members');
    await fails(1, /in no farm/, 'revoke', 'x');
    const joined = await shoal(client, 'join', code, host, '--name', 'eva');
    assert.equal(joined.status, 0, joined.stderr);
    const second = await pair(admin);
    await fails(1, /refuses: the code was used before\n.*shoal pair/, 'join', code, host);
    await fails(1, /called eva already.*\n.*still good/, 'join', second, host, '--name', 'eva');
    await fails(1, /this box is eva .*\n.*--replace/, 'join', otherCode, host);
    await fails(1, /is no admin.*admin's box/, 'revoke', 'x');
    const again = await shoal(client, 'join', second, host);
    assert.equal(again.status, 0, again.stderr);
    assert.match(again.stderr, /replaces +the identity as eva/);
    const old = readdirSync(join(client, 'shoal')).filter((name) => name.startsWith('identity.old-'));
    assert.equal(old.length, 1, 'the identity before is kept');
    assert.match(again.stdout, new RegExp(old[0] ?? 'none'));
  } finally {
    server.close();
  }
});

test('pair refuses a planted identity, and a farm outlives its copy', async () => {
  const [box, copy] = [newBox(), newBox()];
  await pair(box);
  copyDirectory(join(box, 'shoal'), join(copy, 'shoal'));
  rmSync(box, { recursive: true });
  assert.equal(existsSync(box), false);
  await pair(copy);
  rmSync(join(workerIdentity(copy), 'member.pem'));
  const broken = await shoal(copy, 'pair');
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /member.pem is missing/);
  assert.equal(broken.stdout, '');
});

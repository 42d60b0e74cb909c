import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { externalFiles, externalIdentity } from './external.ts';
import { findClientIdentity, isIssuedBy, loadIdentity, type Identity } from './identity.ts';
import { makeFarm } from './make-farm.ts';
import { isMemberName, memberOf } from './member.ts';
import { copyDirectory } from '../../test/trust/copy.ts';

const scratch = mkdtempSync(join(tmpdir(), 'identity-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const nowMs = Date.now();
const dayMs = 86_400_000;

const farmPath = join(scratch, 'worker', 'identity');
const made = await makeFarm(farmPath, 'box-1', nowMs);
assert.equal(made.kind, 'identity');
const farm = made;

/** A copy of the farm's directory, to be damaged. */
function copyOfFarm(): string {
  const path = join(mkdtempSync(join(scratch, 'copy-')), 'identity');
  copyDirectory(farmPath, path);
  return path;
}

function whyBroken(directory: string): string {
  const state = loadIdentity(directory);
  assert.equal(state.kind, 'broken');
  return state.kind === 'broken' ? `${state.why}: ${state.remedy}` : '';
}

test('a farm is an authority for many years, and its box an admin for thirty days', () => {
  const ca = new X509Certificate(farm.caPem);
  const leaf = new X509Certificate(farm.certificatePem);
  assert.equal(farm.farm, 'shoal farm of box-1');
  assert.match(farm.fingerprint, /^[0-9a-f]{64}$/);
  assert.deepEqual([farm.name, farm.role], ['box-1', 'admin']);
  assert.ok(Date.parse(ca.validTo) > nowMs + 10 * 365 * dayMs);
  assert.ok(Math.abs(farm.notAfter - (nowMs + 30 * dayMs)) < 2000);
  assert.ok(farm.notBefore < nowMs && farm.notBefore > nowMs - dayMs);
  assert.equal(isIssuedBy(leaf, ca), true);
  assert.equal(ca.ca, true);
  assert.equal(leaf.ca, false);
  assert.deepEqual(memberOf(leaf).serial, farm.serial);
});

test('nobody but the owner can read any of its files', () => {
  const entries = readdirSync(farmPath, { recursive: true, withFileTypes: true });
  assert.deepEqual(
    entries.filter((entry) => entry.isFile() && entry.name.startsWith('ca')).map(({ name }) => name),
    ['ca.crt', 'ca.key'],
  );
  for (const entry of entries) {
    const { mode } = statSync(join(entry.parentPath, entry.name));
    assert.equal(mode & 0o777, entry.isDirectory() ? 0o700 : 0o600, entry.name);
  }
  assert.equal(statSync(farmPath).mode & 0o777, 0o700);
});

test('two who make the farm at once have one farm, and nothing is left over', async () => {
  const directory = join(scratch, 'at-once', 'identity');
  const both = await Promise.all([makeFarm(directory, 'a', nowMs), makeFarm(directory, 'b', nowMs)]);
  assert.deepEqual(
    both.map((identity) => identity.kind === 'identity' && identity.fingerprint),
    Array(2).fill((loadIdentity(directory) as Identity).fingerprint),
  );
  assert.deepEqual(readdirSync(join(scratch, 'at-once')), ['identity']);
});

test('an identity that others could have planted or read is refused, with what to do', () => {
  for (const file of ['ca.crt', 'ca.key', 'member.pem']) {
    const open = copyOfFarm();
    chmodSync(join(open, file), 0o640);
    assert.match(whyBroken(open), new RegExp(`${file} is open to others \\(mode 640\\).*chmod go=`));

    const linked = copyOfFarm();
    renameSync(join(linked, file), join(linked, 'elsewhere'));
    symlinkSync('elsewhere', join(linked, file));
    assert.match(whyBroken(linked), new RegExp(`${file} is a symbolic link`));

    const directory = copyOfFarm();
    rmSync(join(directory, file));
    mkdirSync(join(directory, file));
    assert.match(whyBroken(directory), /is no file/);
  }
  const open = copyOfFarm();
  chmodSync(open, 0o755);
  assert.match(whyBroken(open), /is open to others \(mode 755\)/);
  const link = join(scratch, 'link');
  symlinkSync(farmPath, link);
  assert.match(whyBroken(link), /is a symbolic link/);
});

test('an identity that is damaged says which file, and is not taken for none', async () => {
  const missing = copyOfFarm();
  rmSync(join(missing, 'member.pem'));
  assert.match(whyBroken(missing), /member.pem is missing.*shoal join/);
  for (const file of ['ca.crt', 'ca.key', 'member.pem']) {
    const cut = copyOfFarm();
    writeFileSync(join(cut, file), readFileSync(join(cut, file)).subarray(0, 100));
    assert.match(whyBroken(cut), new RegExp(`${file} holds no`));
  }
  const foreignPath = join(scratch, 'foreign', 'identity');
  await makeFarm(foreignPath, 'box-2', nowMs);
  for (const [file, why] of [
    ['member.pem', /was not issued by/],
    ['ca.key', /is not the key of/],
  ] as const) {
    const mixed = copyOfFarm();
    cpSync(join(foreignPath, file), join(mixed, file));
    assert.match(whyBroken(mixed), why);
  }
  const crossed = copyOfFarm();
  const own = readFileSync(join(crossed, 'member.pem'), 'utf8');
  const foreign = readFileSync(join(foreignPath, 'member.pem'), 'utf8');
  writeFileSync(
    join(crossed, 'member.pem'),
    foreign.split('-----BEGIN CERT')[0] + '-----BEGIN CERT' + own.split('-----BEGIN CERT')[1],
  );
  assert.match(whyBroken(crossed), /not of one pair/);
});

test('a client finds its own identity first, then that of the worker on this box, and stops at a broken one', () => {
  const state = mkdtempSync(join(scratch, 'xdg-'));
  const env = { XDG_STATE_HOME: state };
  assert.deepEqual(findClientIdentity(env), { kind: 'none', directory: join(state, 'shoal', 'identity') });
  mkdirSync(join(state, 'shoal', 'worker'), { recursive: true });
  copyDirectory(farmPath, join(state, 'shoal', 'worker', 'identity'));
  assert.equal((findClientIdentity(env) as Identity).directory, join(state, 'shoal', 'worker', 'identity'));
  copyDirectory(farmPath, join(state, 'shoal', 'identity'));
  assert.equal((findClientIdentity(env) as Identity).directory, join(state, 'shoal', 'identity'));
  chmodSync(join(state, 'shoal', 'identity'), 0o777);
  assert.equal(findClientIdentity(env).kind, 'broken');
  assert.equal((findClientIdentity({ ...env, SHOAL_IDENTITY: farmPath }) as Identity).directory, farmPath);
  assert.equal(findClientIdentity({ ...env, SHOAL_IDENTITY: join(scratch, 'nowhere') }).kind, 'broken');
});

test('names are what logs and tables can hold', () => {
  for (const name of ['a', 'box-1.lan', 'A_b', 'x'.repeat(64)]) assert.equal(isMemberName(name), true, name);
  for (const name of ['', '.x', '-x', 'a b', 'a\n', 'x'.repeat(65), 'ä', 'a/b'])
    assert.equal(isMemberName(name), false);
});

test("an existing authority's files are an identity, by all three names and a key that is not open", () => {
  assert.equal(externalFiles({}, {}), undefined);
  assert.match(JSON.stringify(externalFiles({ 'tls-ca': 'x' }, {})), /needs all three/);
  const [ca, certificate, key] = ['x.crt', 'x.pem', 'x.key'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  const files = externalFiles({}, { SHOAL_TLS_CA: ca, SHOAL_TLS_CERT: certificate, SHOAL_TLS_KEY: key });
  assert.deepEqual(files, { ca, certificate, key });
  if (typeof files !== 'object') return;
  assert.match(JSON.stringify(externalIdentity(files)), /cannot read the authority.*ENOENT/);
  writeFileSync(ca, farm.caPem);
  writeFileSync(certificate, farm.certificatePem);
  writeFileSync(key, farm.keyPem, { mode: 0o640 });
  const identity = externalIdentity(files);
  const { caKeyPath, ...withoutKey } = farm;
  assert.equal(caKeyPath, join(farmPath, 'ca.key'));
  assert.deepEqual(identity, { ...withoutKey, directory: undefined });
  chmodSync(key, 0o644);
  assert.match(JSON.stringify(externalIdentity(files)), /open to everybody/);
});

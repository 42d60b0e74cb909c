import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeAuthority } from './certificates.ts';
import { memberId, newSerial } from './member.ts';
import { decodeRevocations, encodeRevocations, isRevoked, mergeRevocations } from './revocations.ts';
import { noRevocations, RevocationsError, signRevocations, type Revocation, type Revocations } from './revocations.ts';

const nowMs = Date.UTC(2026, 10, 26);
const dayMs = 86_400_000;
const authority = await makeAuthority('farm', newSerial(), nowMs);
const other = await makeAuthority('other', newSerial(), nowMs);
const serials = Array.from({ length: 12 }, () => newSerial());

function revoke(known: Revocations, which: readonly number[], at = nowMs, by = authority): Revocations {
  const added = which.map((index): Revocation => ({
    member: memberId(serials[index] ?? ''),
    name: `member-${index}`,
    revokedAt: at,
  }));
  return signRevocations({ known, added, ...by, nowMs: at });
}

const isOut = (list: Revocations): readonly boolean[] => serials.map((serial) => isRevoked(list, serial));

test('a list comes back as it was signed, and stops every certificate of the members in it', () => {
  const first = revoke(noRevocations, [1]);
  const second = revoke(first, [3]);
  const read = decodeRevocations(encodeRevocations(second), authority.caPem);
  assert.deepEqual(read, second);
  assert.equal(read.number, 2);
  assert.equal(isRevoked(read, serials[1] ?? ''), true);
  assert.equal(isRevoked(read, newSerial(serials[1])), true, 'the next certificate of the same member');
  assert.equal(isRevoked(read, serials[2] ?? ''), false);
});

test('a list of another farm, a changed one and a cut one are refused', () => {
  const bytes = encodeRevocations(revoke(noRevocations, [1, 2]));
  assert.throws(() => decodeRevocations(bytes, other.caPem), RevocationsError);
  const foreign = encodeRevocations(revoke(noRevocations, [1], nowMs, other));
  assert.throws(() => decodeRevocations(foreign, authority.caPem), RevocationsError);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bad = Buffer.from(bytes);
      bad[at] = (bad[at] ?? 0) ^ change;
      try {
        // Base64 may be written in more than one way: what is accepted says the same.
        assert.deepEqual(isOut(decodeRevocations(bad, authority.caPem)), isOut(revoke(noRevocations, [1, 2])));
      } catch (error) {
        assert.ok(error instanceof RevocationsError, String(error));
      }
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: bytes.length - 1 }), (length) => {
      assert.throws(() => decodeRevocations(bytes.subarray(0, length), authority.caPem), RevocationsError);
    }),
  );
});

test('any bytes are a list or a RevocationsError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), (bytes) => {
      assert.throws(() => decodeRevocations(bytes, authority.caPem), RevocationsError);
    }),
  );
  assert.throws(() => decodeRevocations(randomBytes(5 << 20), authority.caPem), RevocationsError);
});

test('whatever admins sign, and in whatever order boxes hear of it, no revocation is lost', () => {
  const step = fc.record({ admin: fc.nat(2), member: fc.nat(11), hears: fc.option(fc.nat(2)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.infiniteStream(fc.nat()), (steps, random) => {
      const admins = [noRevocations, noRevocations, noRevocations];
      const sent: Revocations[] = [];
      const revoked = new Set<number>();
      for (const { admin, member, hears } of steps) {
        const heard = admins[hears ?? admin] ?? noRevocations;
        const known = mergeRevocations(admins[admin] ?? noRevocations, heard, nowMs);
        admins[admin] = revoke(known, [member]);
        sent.push(admins[admin]);
        revoked.add(member);
      }
      const shuffled = sent.toSorted(() => ((random.next().value ?? 0) % 3) - 1);
      const box = shuffled.reduce((all, list) => mergeRevocations(all, list, nowMs), noRevocations);
      const inOrder = sent.reduce((all, list) => mergeRevocations(list, all, nowMs), noRevocations);
      assert.deepEqual(
        isOut(box),
        serials.map((_, index) => revoked.has(index)),
      );
      assert.equal(box.stamp, inOrder.stamp, 'boxes that heard the same hold the same');
      assert.ok(box.lists.length <= 3, 'at most one list an admin');
      assert.equal(mergeRevocations(box, box, nowMs).stamp, box.stamp);
    }),
    { numRuns: 60 },
  );
});

test('two admins who revoke at once under one number: both hold, and the next list holds both', () => {
  const common = revoke(noRevocations, [0]);
  const one = revoke(common, [1]);
  const two = revoke(common, [2]);
  assert.equal(one.number, two.number);
  const merged = mergeRevocations(one, two, nowMs);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => isRevoked(merged, serials[index] ?? '')),
    [true, true, true, false],
  );
  const next = revoke(merged, [3]);
  assert.equal(mergeRevocations(merged, next, nowMs).lists.length, 1);
  assert.equal(next.number, 3);
});

test('a list of a higher number that lacks somebody lets nobody in again', () => {
  const known = revoke(noRevocations, [1]);
  let forged = noRevocations;
  for (const index of [5, 6, 7]) forged = revoke(forged, [index]);
  const merged = mergeRevocations(known, forged, nowMs);
  assert.equal(isRevoked(merged, serials[1] ?? ''), true);
  assert.equal(isRevoked(merged, serials[7] ?? ''), true);
});

test('an entry goes only when no certificate can be left that it stops', () => {
  const old = revoke(noRevocations, [1]);
  assert.equal(isRevoked(revoke(old, [2], nowMs + 399 * dayMs), serials[1] ?? ''), true);
  const late = nowMs + 401 * dayMs;
  const next = revoke(old, [2], late);
  assert.equal(isRevoked(next, serials[1] ?? ''), false);
  assert.equal(mergeRevocations(old, next, late).lists.length, 1);
});

test('the key in a list is the farm authority: another key cannot sign for it', () => {
  const { caKey } = other;
  const key = createPrivateKey(caKey.export({ type: 'pkcs8', format: 'pem' }));
  assert.throws(
    () => signRevocations({ known: noRevocations, added: [], caPem: authority.caPem, caKey: key, nowMs }),
    RevocationsError,
  );
});

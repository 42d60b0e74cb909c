import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { loadIdentity, type Identity } from '../../trust/identity.ts';
import { filesOfIdentity, openLiveTrust } from '../../trust/live-trust.ts';
import { makeFarm } from '../../trust/make-farm.ts';
import { knownCertificates } from '../../trust/member-files.ts';
import { openIdentityDesk, type DeskAnswer } from './identity-desk.ts';

function identityIn(directory: string): Identity {
  const found = loadIdentity(directory);
  assert.ok(found.kind === 'identity');
  return found;
}

type Body = (ask: (question: unknown) => Promise<DeskAnswer>, keyPem: string, directory: string) => Promise<void>;

async function withDesk(body: Body) {
  const home = mkdtempSync(join(tmpdir(), 'shoal-desk-'));
  const directory = join(home, 'identity');
  const nowMs = (): number => Date.now();
  await makeFarm(directory, 'box', nowMs());
  const trust = openLiveTrust({ find: () => loadIdentity(directory), files: filesOfIdentity(directory), nowMs });
  try {
    const desk = openIdentityDesk({ trust, nowMs, log: () => undefined });
    const ask = async (question: unknown) => JSON.parse(await desk(JSON.stringify(question))) as DeskAnswer;
    await body(ask, readFileSync(join(directory, 'ca.key'), 'utf8'), directory);
  } finally {
    trust.close();
    rmSync(home, { recursive: true });
  }
}

test('the front is told who the box is, and again only when that has changed; never the authority’s key', () =>
  withDesk(async (ask, keyPem) => {
    const first = await ask({ ask: 'trust', stamp: 0 });
    assert.ok(first.kind === 'answer');
    assert.ok(!JSON.stringify(first).includes(keyPem.split('\n')[1] ?? ''));
    const { stamp } = first.answer as { readonly stamp: number };
    assert.deepEqual(await ask({ ask: 'trust', stamp }), { kind: 'answer' });
  }));

test('a front that lies gets no certificate: neither for a member nobody knows, nor without a code', () =>
  withDesk(async (ask) => {
    const renewed = await ask({ ask: 'renew-for', serial: `4${'0'.repeat(31)}`, csrPem: 'x' });
    assert.ok(renewed.kind === 'answer');
    assert.equal((renewed.answer as { readonly kind: string }).kind, 'refused');
    const request = { secret: 'AAAAAAAA', name: 'me', exactName: false, csrPem: 'x', hostname: 'here' };
    const joined = await ask({ ask: 'admit', request, address: '10.0.0.1', reached: [] });
    assert.ok(joined.kind === 'answer');
    assert.equal((joined.answer as { readonly kind: string }).kind, 'refused');
  }));

test('who was let in is noted, if it is a member at all', () =>
  withDesk(async (ask, _, directory) => {
    const { serial } = identityIn(directory);
    const seen = (): readonly (number | undefined)[] =>
      knownCertificates(directory, Date.now()).map(({ lastSeen }) => lastSeen);
    assert.deepEqual(await ask({ ask: 'seen', serial: `4${'0'.repeat(31)}` }), { kind: 'answer' });
    assert.deepEqual(seen(), [undefined]);
    assert.deepEqual(await ask({ ask: 'seen', serial }), { kind: 'answer' });
    assert.ok((seen()[0] ?? 0) > 0);
  }));

test('what is no question is answered as an error', () =>
  withDesk(async (ask) => {
    for (const question of [
      null,
      1,
      {},
      { ask: 'nothing' },
      { ask: 'renew-for' },
      { ask: 'seen' },
      { ask: 'accept-sync', told: {} },
    ]) {
      assert.equal((await ask(question)).kind, 'error', JSON.stringify(question));
    }
  }));

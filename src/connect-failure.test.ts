import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connectFailure } from './connect-failure.ts';

test('of a name with several addresses, where nobody answers, each is told', async () => {
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
  const socket = connect({
    host: 'two',
    port: 1,
    autoSelectFamily: true,
    lookup: (_, __, found) => found(null, addresses),
  });
  const [error] = (await once(socket, 'error').catch((broken: unknown) => [broken])) as [Error];
  assert.equal(connectFailure(error), 'connect ECONNREFUSED 127.0.0.1:1, connect ECONNREFUSED 127.0.0.2:1');
  assert.equal(connectFailure(new Error('alone')), 'alone');
});

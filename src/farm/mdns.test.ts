// What anybody on the network may send to whoever looks for workers.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import { search, type Bonjour } from './mdns.ts';

test('a search ends, and listens no more, when the network tells of more services than a network has', () => {
  const browser = Object.assign(new EventEmitter(), { stop: () => browser.removeAllListeners() });
  const bonjour = {
    find: (_: object, up: (service: unknown) => void) => browser.on('up', up),
  } as unknown as Bonjour;
  let [taken, floods] = [0, 0];
  search({ bonjours: [bonjour], type: 'shoal', take: () => (taken += 1), flooded: () => (floods += 1) });
  for (let at = 0; at < 10_000; at += 1) browser.emit('up', { name: `box-${at}` });
  assert.equal(taken, 4096);
  assert.equal(floods, 1);
});

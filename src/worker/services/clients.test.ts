import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { blobOf, inDirectory, treeBlobs } from '../../../test/worker/rig.ts';
import { realClock } from '../../observe/clock.ts';
import { openDiskStore, type DiskStore } from '../../store/disk.ts';
import { openStoreWriter } from '../../store/store-writer.ts';
import type { Peer } from '../../trust/peer.ts';
import { decodeHoldings, openClients, type Clients } from './clients.ts';
import { newDirectories } from '../trees/directories.ts';

const member = (name: string): Peer => ({ kind: 'member', name, role: 'client', serial: '1' });
const blob = blobOf('some header');

async function withClients(
  body: (world: { readonly clients: () => Clients; readonly store: DiskStore; readonly path: string }) => void,
): Promise<void> {
  await inDirectory(async (directory) => {
    const writer = openStoreWriter(directory);
    const store = await openDiskStore({ directory, writer, maxBytes: 1 << 28, clock: realClock });
    const path = join(directory, 'holders');
    body({ clients: () => openClients({ store, directories: newDirectories(store), path, writer }), store, path });
    await store.close();
  });
}

test('a member that is forgotten holds nothing, whether it comes back now or after the worker’s next start', () =>
  withClients((world) => {
    const clients = world.clients();
    clients.of(member('anna')).store.write(blob.digest, blob.bytes);
    clients.of(member('ben')).store.write(blob.digest, blob.bytes);
    clients.forget('anna');
    assert.deepEqual(clients.of(member('anna')).store.missing([blob.digest]), [blob.digest]);
    clients.close();
    const again = world.clients();
    assert.deepEqual(again.of(member('anna')).store.missing([blob.digest]), [blob.digest]);
    assert.deepEqual(again.of(member('ben')).store.missing([blob.digest]), []);
  }));

test('the user of this box, strangers and a member of any name are different clients', () =>
  withClients((world) => {
    const clients = world.clients();
    clients.of({ kind: 'local' }).store.write(blob.digest, blob.bytes);
    for (const peer of [member('local'), member('strangers'), { kind: 'stranger', address: '10.0.0.1:5' } as const]) {
      assert.equal(clients.of(peer).store.readNow(blob.digest), undefined);
    }
    clients.of({ kind: 'stranger', address: '10.0.0.1:5' }).store.write(blob.digest, blob.bytes);
    assert.ok(clients.of({ kind: 'stranger', address: '10.0.0.2:7' }).store.readNow(blob.digest) !== undefined);
  }));

test('a tree is whole once everything below was sent, and what lacks is named at once', () =>
  withClients((world) => {
    const { store, checkTree } = world.clients().of(member('anna'));
    const { root, blobs } = treeBlobs({ 'a/b.h': 'b', 'a/c.h': 'c', 'd.c': 'd' });
    const leaves = blobs.filter(({ bytes }) => bytes.length === 1);
    for (const { digest, bytes } of blobs)
      if (!leaves.some((leaf) => leaf.digest === digest)) store.write(digest, bytes);
    assert.throws(() => checkTree(root), { message: '3 blobs are missing' });
    for (const { digest, bytes } of leaves) store.write(digest, bytes);
    checkTree(root);
  }));

test('without its file, or with one that says anything, a worker starts and nobody holds a thing', () =>
  withClients((world) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        writeFileSync(world.path, bytes);
        world.clients();
        try {
          decodeHoldings(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }),
      { numRuns: 200 },
    );
    assert.deepEqual(world.clients().of(member('anna')).store.missing([blob.digest]), [blob.digest]);
  }));

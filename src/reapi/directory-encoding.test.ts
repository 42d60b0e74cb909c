import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from './digest.ts';
import { encodeDirectory, encodeDirectoryNode, encodeFileNode, encodeSymlinkNode } from './directory-encoding.ts';
import { Directory } from './gen/remote_execution.ts';

const name = fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' });
const digest = fc.tuple(
  fc.uint8Array({ maxLength: 20 }),
  fc.constantFrom(0, 1, 127, 128, 300, 70_000, 2 ** 31, 2 ** 40),
);
const fileDigest = digest.map(([bytes, sizeBytes]) => ({ hash: digestOf(bytes).hash, sizeBytes }));
const directoryDigest = digest.map(([bytes, sizeBytes]) => ({
  hash: digestOf(bytes).hash,
  sizeBytes: sizeBytes % 2 ** 30,
}));
const mtimeNs = fc.bigInt({ min: -(10n ** 12n), max: 2n ** 62n });

test('a Directory is encoded byte for byte as the generated code would', () => {
  fc.assert(
    fc.property(
      name,
      fileDigest,
      fc.boolean(),
      mtimeNs,
      directoryDigest,
      name,
      (title, digest, executable, ns, below, target) => {
        const nanos = Number(((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
        const mtime = { seconds: Number((ns - BigInt(nanos)) / 1_000_000_000n), nanos };
        const nodeProperties = { properties: [], mtime, unixMode: undefined };
        const none = { nodeProperties: undefined };
        const expected = Directory.encode({
          files: [{ name: title, digest, isExecutable: executable, nodeProperties }],
          directories: [{ name: title, digest: below }],
          symlinks: [{ name: title, target, ...none }],
          ...none,
        }).finish();
        const bytes = encodeDirectory({
          files: [{ name: title, bytes: encodeFileNode({ name: title, digest, executable, mtimeNs: ns }) }],
          directories: [{ name: title, bytes: encodeDirectoryNode(title, below) }],
          symlinks: [{ name: title, bytes: encodeSymlinkNode(title, target) }],
        });
        assert.deepEqual(bytes, Buffer.from(expected));
      },
    ),
  );
});

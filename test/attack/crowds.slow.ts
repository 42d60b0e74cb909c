// Attacks that take long to be made, and those on clang: as member.test.ts.
import test from 'node:test';
import { crowds } from './cases/resources.ts';
import { attack, onGround } from './ground.ts';

test('files without number', () =>
  onGround({ jobMemoryBytes: 512 << 20 }, async (ground) => {
    for (const each of crowds) await attack(ground, each);
  }));

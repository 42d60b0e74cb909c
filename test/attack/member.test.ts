// What a member of the farm can try against a worker that runs its actions: each attack fails, nothing comes out of the box,
// and the next honest job is served. Memory is bounded low here, so that a bomb goes off quickly.
import test, { after, before } from 'node:test';
import { options, temporary } from './cases/options.ts';
import { outside } from './cases/outside.ts';
import { reading } from './cases/reading.ts';
import { resources } from './cases/resources.ts';
import { attack, onGround, type Ground } from './ground.ts';

let ground: Ground;
let leave: () => void;
let gone: Promise<void>;
before(async () => {
  await new Promise<void>((arrived, failed) => {
    gone = onGround({ jobMemoryBytes: 256 << 20 }, (here) => {
      ground = here;
      arrived();
      return new Promise<void>((resolve) => (leave = resolve));
    });
    gone.catch(failed);
  });
});
after(async () => {
  leave();
  await gone;
});

for (const each of [...reading, ...options, ...temporary, ...outside, ...resources])
  test(each.name, () => attack(ground, each));

// Inputs that once went wrong, and the ordinary ones, go right.
import { test } from 'node:test';
import { keptInputs } from './corpus.ts';
import { targets } from './targets.ts';

for (const [name, open] of Object.entries(targets)) {
  test(`${name} takes every input that is kept`, async (t) => {
    const target = await open();
    t.after(async () => target.close?.());
    for (const input of [...target.seeds, ...keptInputs(name)]) await target.run(input);
  });
}

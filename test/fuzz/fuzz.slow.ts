// A few seconds of fuzzing for every decoder, from the inputs that are kept; `npm run fuzz -- TARGET` goes on for longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzC, targetsInC } from './c-targets.ts';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const seconds = Number(process.env['SHOAL_FUZZ_SECONDS'] ?? 3);
// V8's own growth under load, the counts of blocks among it; what an input could make a decoder take is more.
const mostGrownMb = 300;
const mostMs = 3000;

for (const [name, open] of Object.entries(targets)) {
  test(`${name}: whatever bytes come, nothing unexpected is thrown, and memory and time are bounded`, async (t) => {
    const target = await open();
    t.after(async () => target.close?.());
    const seed = Date.now() % 2 ** 31;
    const { crash, ...figures } = await fuzz(target, { seconds, seed, keep: false });
    console.log(`${name} seed ${seed} ${JSON.stringify(figures)}`);
    assert.equal(crash, undefined, crash?.message);
    assert.ok(figures.grownMb < mostGrownMb && figures.longestMs < mostMs, JSON.stringify(figures));
  });
}

for (const name of targetsInC) {
  test(`${name}: whatever bytes come, the sanitizers find nothing`, () => {
    const { failed, output } = fuzzC(name, seconds);
    assert.ok(!failed, output.slice(-4000));
  });
}

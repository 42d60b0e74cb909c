// npm run fuzz -- TARGET [--seconds 60] [--seed N] [--keep]; without a target: their names.
import { parseArgs } from 'node:util';
import { fuzzC, isTargetInC, targetsInC } from './c-targets.ts';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, keep: { type: 'boolean' } },
  allowPositionals: true,
});
const [name = ''] = positionals;
const seconds = Number(values.seconds ?? 60);
const open = Object.hasOwn(targets, name) ? targets[name] : undefined;

if (isTargetInC(name)) {
  const { output, failed } = fuzzC(name, seconds);
  process.stdout.write(output);
  process.exitCode = failed ? 1 : 0;
} else if (open === undefined) {
  process.stdout.write(`targets: ${[...Object.keys(targets), ...targetsInC].join(' ')}\n`);
  process.exitCode = 2;
} else {
  const target = await open();
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  const { crash, ...figures } = await fuzz(target, { seconds, seed, keep: values.keep ?? false });
  process.stdout.write(`${name} seed ${seed} ${JSON.stringify(figures)}\n`);
  if (crash !== undefined) process.stdout.write(`${crash.message}\n`);
  process.exitCode = crash === undefined ? 0 : 1;
  await target.close?.();
}

// The bench: every side on the same tree, round after round, and one table. `npm run bench -- --help` says more.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from './tidy.ts';
import { tmpdir } from 'node:os';
import { makeNetwork } from './hosts.ts';
import { measureRound, type Round } from './measure.ts';
import { local, nothing, ccache } from './sides/local.ts';
import { distcc, distccLzo } from './sides/distcc.ts';
import { icecream } from './sides/icecream.ts';
const scratch = mkdtempSync(join(tmpdir(), 'shoalb-'));
chmodSync(scratch, 0o755); // Peers' daemons run as users of their own.
atExit(() => rmSync(scratch, { recursive: true, force: true }));
const network = makeNetwork(2);
mkdirSync('.cache/corpus', { recursive: true });
const plan = { network, scratch, cache: '.cache/corpus', jobs: 4, tree: { projects: ['leveldb', 'abseil'] as const, flags: ['-O0'], everyNth: Number(process.argv[2]) } };
const only = process.argv.slice(3);
for (const side of [nothing, local, ccache, distcc, distccLzo, icecream]) {
  if (only.length > 0 && !only.includes(side.name)) continue;
  const round: Round = await measureRound(side, plan);
  for (const which of ['first', 'second'] as const) {
    const f = round[which];
    process.stdout.write(`${side.name.padEnd(14)} ${which.padEnd(7)} ${f.files} files  client ${(f.clientCpuMs / f.files).toFixed(2)} ms  worker ${(f.workerCpuMs / f.files).toFixed(1)} ms  sent ${(f.sentBytes / f.files / 1000).toFixed(1)} KB received ${(f.receivedBytes / f.files / 1000).toFixed(1)} KB wall ${(f.wallMs / 1000).toFixed(1)} s\n`);
  }
}

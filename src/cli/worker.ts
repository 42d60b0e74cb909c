// `shoal worker`: compile for others on this box, in the foreground. Prints `ready HOST:PORT` once it serves. SIGTERM
// and SIGINT drain: no new jobs, those in flight are finished; a second signal ends it at once. This process is the keeper
// (worker/keeper/); what serves is its child, `shoal front`.
//
// Without --listen it serves the members of its farm, which it makes if it belongs to none, on all addresses.
import { addressText } from '../trust/addresses.ts';
import { openness } from '../worker/distcc/exposure.ts';
import { startKeptWorker, type KeptWorker } from '../worker/keeper/kept-worker.ts';
import { distccSettings, takeDistccFlags } from './distcc-flags.ts';
import { fail } from './fail.ts';
import type { Invocation } from './invocation.ts';
import { pairingText } from './worker-events.ts';
import { parseWorkerArgs, workerUsage } from './worker-flags.ts';
import { bridgeToWorker } from './worker-stdio.ts';

export async function workerCommand({ args, env, mainScript }: Invocation): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${workerUsage}\n`);
    return;
  }
  if (args.length === 1 && args[0] === '--stdio') return bridgeToWorker();
  const taken = takeDistccFlags(args);
  if (typeof taken === 'string') return fail(taken, 2);
  const settings = parseWorkerArgs(taken.rest, env);
  if (typeof settings === 'string') return fail(`${settings}\n${workerUsage}`, 2);
  const { distcc } = taken;
  const open = distcc && openness(distcc);
  if (open !== undefined) say(open);
  const worker = await startKeptWorker({
    settings,
    distcc: distcc && { listen: distcc.listen, settings: distccSettings(distcc) },
    frontCommand: [process.execPath, mainScript, 'front'],
    env,
    madeFarm: (name) => say(`this box is now ${name}, the admin of a new farm: \`shoal pair\` lets others in`),
    pairing: (event) => say(pairingText(event)),
    onReady: (addresses, beside) => {
      for (const address of addresses) process.stdout.write(`ready ${addressText(address)}\n`);
      for (const address of beside) process.stdout.write(`distcc ${addressText(address)}\n`);
    },
    log: say,
  });
  if (worker.kind === 'refused') return fail(worker.why, 1);
  endOnSignals(worker);
}

function say(text: string): void {
  process.stderr.write(`shoal: ${text}\n`);
}

function endOnSignals({ signal, ended, reopen }: KeptWorker): void {
  process.on('SIGTERM', signal);
  // Of a worker in a terminal it says that the terminal has gone; of a service, that its logs were rotated.
  process.on('SIGHUP', process.stdout.isTTY ? signal : reopen);
  process.on('SIGINT', signal);
  ended.then(
    (status) => process.exit(status),
    () => process.exit(1),
  );
}

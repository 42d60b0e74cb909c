// `shoal front`: the part of a worker that has the network. The keeper starts it (worker/keeper/), for its own use.
import { encodeLogLine, levels, type LogLine } from '../distcc/log-lines.ts';
import { openFront } from '../worker/front/front.ts';
import type { DistccSettings, FrontSettings } from '../worker/keeper/front-settings.ts';
import type { Worker } from '../worker/worker.ts';
import type { Invocation } from './invocation.ts';
import { eventText } from './worker-events.ts';

function say(text: string): void {
  process.stderr.write(`shoal: ${text}\n`);
}

/** What only newer kernels have: all of it since 6.2. */
function tellConfinement(version: number, ownUser: boolean): void {
  if (version >= 3) return;
  const left = ownUser ? 'kept from the store by its user alone' : 'not kept from the store and the identity';
  say(`this kernel lacks Landlock, or has an old one: what parses requests is ${left}`);
}

function distccLog(how: DistccSettings['log'] | undefined): (line: LogLine) => void {
  if (how === 'lines') return (line) => void process.stderr.write(encodeLogLine(line));
  return ({ level, text }) => {
    if (levels[level] <= levels.warning) say(`distcc: ${text}`);
  };
}

export async function frontCommand({ args, env }: Invocation): Promise<void> {
  const settings = JSON.parse(args[0] ?? '') as FrontSettings;
  tellConfinement(Number(env['SHOAL_LANDLOCK']), settings.ownUser);
  const front = await openFront(settings, {
    env,
    log: (event) => {
      const text = eventText(event);
      if (text !== undefined) say(text);
    },
    logDistcc: distccLog(settings.distcc?.log),
    idle: () => process.kill(process.pid, 'SIGTERM'),
    lost: (why) => {
      say(`the keeper does not answer: ${why}`);
      process.exit(1);
    },
  });
  if (front.kind === 'refused') {
    say(front.why);
    process.exitCode = 1;
    return;
  }
  endOnSignals(front.worker);
  front.ready();
}

function endOnSignals(worker: Worker): void {
  let signals = 0;
  const end = (): void => {
    signals += 1;
    const ended = signals === 1 ? worker.drain() : worker.stop();
    ended.then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

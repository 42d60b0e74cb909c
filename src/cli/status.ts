// `shoal status [--json]`: what the client daemon of this user is doing.
import { askOnce } from '../client/builds/attach.ts';
import type { Status } from '../client/daemon/control.ts';
import { noHosts } from '../observe/summary.ts';
import { refuses } from './fail.ts';
import type { Invocation } from './invocation.ts';

export function statusText(status: Status): string {
  const { totals } = status;
  const lines = [
    `daemon ${status.pid}, shoal ${status.version}: ${status.sessions} builds, ${status.inFlight} jobs in flight, ${status.here} here, ${status.waiting} waiting`,
    `done: ${totals.remote} remote, ${totals.cached} cached, ${totals.local} here`,
  ];
  for (const host of status.hosts) {
    const why = host.why === '' ? '' : ` (${host.why})`;
    lines.push(`  ${host.name}: ${host.state}${why}, ${host.inFlight} of ${host.slots} slots, ${host.jobs} jobs`);
  }
  if (status.hosts.length === 0) lines.push(`  ${noHosts}`);
  return `${lines.join('\n')}\n`;
}

export async function statusCommand({ args }: Invocation): Promise<void> {
  if (refuses(args, ['--json'], 'status [--json]')) return;
  const json = args.includes('--json');
  const answer = await askOnce({ op: 'status' });
  if (answer?.kind !== 'status') {
    if (json) process.stdout.write('{"running":false}\n');
    else process.stderr.write('shoal: no daemon is running (it starts with `shoal make`, or with the first compile)\n');
    return;
  }
  process.stdout.write(json ? `${JSON.stringify({ running: true, ...answer.status })}\n` : statusText(answer.status));
}

// `shoal hosts [--json] [--forgive NAME] [--explain [SPEC]]`: every host of the farm, what has been measured of it, and how it stands.
import { askOnce } from '../client/builds/attach.ts';
import { inspectHostsAlone } from '../client/compose.ts';
import type { HostReport } from '../client/daemon/host-report.ts';
import { settingsFrom } from '../client/session/settings.ts';
import { noHosts } from '../observe/summary.ts';
import { refuses } from './fail.ts';
import { explainCommandOfHosts } from './hosts-explain.ts';
import type { Invocation } from './invocation.ts';

const speedText = (speed: number | undefined): string => (speed === undefined ? '-' : `${speed} ×`);
const timeText = (ms: number | undefined): string => (ms === undefined ? '-' : `${ms} ms`);

function stateText(host: HostReport): string {
  return host.approximate ? `${stateOf(host)}, approximate (distcc)` : stateOf(host);
}

function stateOf({ state, why, restsForMs, failures }: HostReport): string {
  if (state === 'aside') return `set aside: ${why}`;
  if (state !== 'resting') return failures > 0 ? `${state}, ${failures} failures` : state;
  return `resting for ${(restsForMs / 1000).toFixed(1)} s after failure ${failures}: ${why}`;
}

const heading = ['host', 'slots', 'jobs there', 'speed', 'round trip', 'compilers', 'done', 'state'] as const;

function rowOf(host: HostReport): string[] {
  const { name, slots, inFlight, speed, roundTripMs, compilers, jobs } = host;
  const queued = Math.max(0, inFlight - slots);
  const there = queued > 0 ? `${inFlight} (${queued} wait)` : `${inFlight}`;
  return [
    name,
    `${slots}`,
    there,
    speedText(speed),
    timeText(roundTripMs),
    `${compilers ?? '-'}`,
    `${jobs}`,
    stateText(host),
  ];
}

export function hostsText(hosts: readonly HostReport[]): string {
  if (hosts.length === 0) return `${noHosts}\n`;
  const rows = [[...heading], ...hosts.map(rowOf)];
  const widths = heading.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  const note = hosts.some(({ speed }) => speed !== undefined)
    ? ''
    : '\nspeed is beside this box, once both were measured';
  return `${lines.map((line) => line.trimEnd()).join('\n')}${note}\n`;
}

async function reports({ env }: Invocation, forgive: string | undefined): Promise<readonly HostReport[] | string> {
  const settings = settingsFrom(env);
  const answer = await askOnce({ op: 'hosts', settings, forgive });
  if (answer?.kind === 'hosts') return answer.hosts;
  if (answer?.kind === 'error') return answer.message;
  return inspectHostsAlone({ settings, forgive }, env);
}

export async function hostsCommand(invocation: Invocation): Promise<void> {
  const { args } = invocation;
  if (args.includes('--explain')) {
    const [spec, ...more] = args.filter((word) => word !== '--explain' && word !== '--json');
    if (!refuses(more, [], 'hosts --explain ["SPEC"] [--json]')) explainCommandOfHosts(spec, invocation);
    return;
  }
  const at = args.indexOf('--forgive');
  const forgive = at < 0 ? undefined : args[at + 1];
  const others = at < 0 ? args : args.toSpliced(at, forgive === undefined ? 0 : 2);
  if (refuses(others, ['--json'], 'hosts [--json] [--forgive NAME] [--explain [SPEC]]')) return;
  const hosts = await reports(invocation, forgive);
  if (typeof hosts === 'string') {
    process.stderr.write(`shoal: ${hosts}\n`);
    process.exitCode = 2;
    return;
  }
  process.stdout.write(invocation.args.includes('--json') ? `${JSON.stringify({ hosts })}\n` : hostsText(hosts));
}

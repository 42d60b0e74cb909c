// The words at the end of a build. Everything here is text about a Summary; nothing is decided.
import { reasonOf, type ReasonId } from './reasons.ts';
import type { Summary } from './tally.ts';

export function formatBytes(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  if (bytes < 10_000_000) return `${(bytes / 1000).toFixed(0)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;

function hostLines(summary: Summary): string[] {
  const done = Math.max(1, summary.remote + summary.cached);
  return Object.entries(summary.hosts).map(([name, host]) => {
    const share = Math.round((100 * host.jobs) / done);
    return `  ${name}: ${host.jobs} jobs (${share} %), ${host.slots} slots`;
  });
}

function reasonLines(summary: Summary): string[] {
  const rows = Object.entries(summary.reasons).toSorted(([a], [b]) => {
    return (summary.reasonSeconds[b] ?? 0) - (summary.reasonSeconds[a] ?? 0);
  });
  return rows.map(([id, count]) => {
    const spent = summary.reasonSeconds[id] ?? 0;
    const detail = summary.examples[id] ?? '';
    return `  here: ${count} × ${id}, ${spent.toFixed(2)} s: ${reasonOf(id as ReasonId).sentence}${detail === '' ? '' : ` (${detail})`}`;
  });
}

function proofLines({ differences }: Summary): string[] {
  return differences.map(({ host, source, section }) => {
    const again = `compile again what ${host} has compiled, and look at that box: its memory, its compiler`;
    return `  WRONG: ${host} returned another object of ${source} than this box makes (${section}); it was set aside; ${again}`;
  });
}

const aWorker = 'start `shoal worker` on a box and join it from here by a code of `shoal pair`';

/** What to do where no host is known. */
export const noHosts = `no hosts: ${aWorker}, or name boxes in SHOAL_HOSTS`;

/** The one change that would have helped this build most, or undefined if nothing stands out. */
export function bestAdvice(summary: Summary): string | undefined {
  if (Object.keys(summary.hosts).length === 0) return `a worker: ${aWorker}`;
  const worst = Object.entries(summary.reasonSeconds)
    .filter(([id]) => reasonOf(id as ReasonId).probe !== true)
    .toSorted(([, a], [, b]) => b - a)[0];
  if (worst !== undefined && worst[1] > 0.1) {
    return `${worst[0]} cost ${worst[1].toFixed(1)} s here: ${reasonOf(worst[0] as ReasonId).sentence}`;
  }
  const slots = Object.values(summary.hosts).reduce((sum, host) => sum + host.slots, 0);
  if (slots > 0 && summary.remote > 4 * slots) return `more slots: ${slots} worked through ${summary.remote} compiles`;
  return undefined;
}

/** The summary that ends `shoal make` and `shoal run`, a line each, without a final newline. */
export function summaryText(summary: Summary): string {
  const counts = [`${summary.files} files`, `${summary.remote} remote`, `${summary.cached} cached`];
  counts.push(`${summary.local} here`);
  if (summary.failed > 0) counts.push(`${summary.failed} with errors`);
  const wire = `${formatBytes(summary.bytesSent)} sent, ${formatBytes(summary.bytesReceived)} received`;
  const head = `shoal: ${counts.join(', ')}; ${seconds(summary.wallMs)}, ${seconds(summary.clientCpuMs)} of this box's CPU; ${wire}`;
  const advice = bestAdvice(summary);
  const lines = [head, ...hostLines(summary), ...reasonLines(summary), ...proofLines(summary)];
  if (advice !== undefined) lines.push(`  would help most: ${advice}`);
  return lines.join('\n');
}

/** Why a build's compiles never came by, for the warning that ends such a build. */
export function nothingReachedText(command: string): string {
  return (
    `shoal: no compile reached shoal while \`${command}\` ran. Either there was nothing to build, or the build names its ` +
    'compiler by an absolute path: set CC="shoal gcc" CXX="shoal g++", or CMake\'s CMAKE_C_COMPILER_LAUNCHER=shoal.'
  );
}

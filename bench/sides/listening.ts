// Small facts about daemons of peers.
import { execFileSync } from 'node:child_process';
import { inHost, type Host } from '../hosts.ts';
import { waitUntil } from '../wait.ts';

const patienceMs = 10_000;

/** Resolves when something listens on a TCP port of `host`. */
export async function listens(host: Host, port: number): Promise<void> {
  const [command = '', ...args] = inHost(host, ['ss', '--no-header', '--listening', '--tcp', `sport = :${port}`]);
  await waitUntil(
    `a listener on port ${port}`,
    patienceMs,
    () => execFileSync(command, args, { encoding: 'utf8' }) !== '',
  );
}

export function userIds(user: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

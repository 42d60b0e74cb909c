// A small network on one machine: a client and its workers, each a network namespace, joined by a switch. Needs root.
//
//   shoalb-PID-c   10.77.0.1 ──┐
//   shoalb-PID-w1  10.77.1.2 ──┼── shoalb-PID-s (a bridge)
//   shoalb-PID-w2  10.77.2.2 ──┘
//
// What workers say to each other does not pass the client's interface. PID is the process that made it, so several may
// exist side by side, and what a killed one left can be told and removed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { atExit } from './tidy.ts';
import { sleepMs } from './wait.ts';

export type Host = {
  readonly namespace: string;
  readonly address: string;
};

export type Network = {
  readonly client: Host;
  readonly workers: readonly Host[];
  /** Bytes through the client's interface since it was made: link-layer frames, as the kernel counts them. */
  readonly wire: () => Wire;
  /** Kills what still runs in the namespaces and removes them. Harmless when called again. */
  readonly remove: () => void;
};

export type Wire = { readonly sentBytes: number; readonly receivedBytes: number };

const prefix = 'shoalb';

/** Makes a network of `count` workers, after removing those whose maker is dead. It is removed on any exit of this process. */
export function makeNetwork(count: number): Network {
  removeStale();
  const own = `${prefix}-${process.pid}-`;
  const client: Host = { namespace: `${own}c`, address: '10.77.0.1' };
  const workers = Array.from({ length: count }, (_, at): Host => {
    return { namespace: `${own}w${at + 1}`, address: `10.77.${at + 1}.2` };
  });
  const namespaces = [`${own}s`, ...[client, ...workers].map(({ namespace }) => namespace)];
  const remove = (): void => {
    for (const namespace of namespaces) removeNamespace(namespace);
    forget();
  };
  const forget = atExit(remove);
  for (const namespace of namespaces) {
    ip('netns', 'add', namespace);
    ip('-n', namespace, 'link', 'set', 'dev', 'lo', 'up');
  }
  ip('-n', `${own}s`, 'link', 'add', 'switch', 'type', 'bridge');
  ip('-n', `${own}s`, 'link', 'set', 'dev', 'switch', 'up');
  for (const [port, host] of [client, ...workers].entries()) plugIn(host, `${own}s`, `port${port}`);
  return { client, workers, wire: () => wireOf(client.namespace), remove };
}

function plugIn({ namespace, address }: Host, hub: string, port: string): void {
  ip('-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', namespace);
  ip('-n', hub, 'link', 'set', 'dev', port, 'master', 'switch', 'up');
  ip('-n', namespace, 'address', 'add', `${address}/16`, 'broadcast', '10.77.255.255', 'dev', 'uplink');
  ip('-n', namespace, 'link', 'set', 'dev', 'uplink', 'up');
}

/** The command that runs `argv` in a host's network. Unlike `ip netns exec` it keeps /sys, where the cgroups are. */
export function inHost(host: Host, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=/run/netns/${host.namespace}`, '--', ...argv];
}

type Link = {
  readonly ifname: string;
  readonly stats64: { readonly rx: { bytes: number }; readonly tx: { bytes: number } };
};

function wireOf(namespace: string): Wire {
  const links = JSON.parse(ip('-n', namespace, '-s', '-j', 'link', 'show')) as Link[];
  const stats = links.find(({ ifname }) => ifname === 'uplink')?.stats64;
  if (stats === undefined) throw new Error(`${namespace} has no interface`);
  return { sentBytes: stats.tx.bytes, receivedBytes: stats.rx.bytes };
}

function removeStale(): void {
  for (const name of ip('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')) {
    const maker = /^shoalb-(\d+)-/.exec(name)?.[1];
    if (maker !== undefined && !existsSync(`/proc/${maker}`)) removeNamespace(name);
  }
}

function removeNamespace(namespace: string): void {
  if (!existsSync(`/run/netns/${namespace}`)) return;
  for (let round = 0; round < 100; round += 1) {
    const pids = ip('netns', 'pids', namespace).split('\n').filter(Boolean).map(Number);
    if (pids.length === 0) break;
    for (const pid of pids) killIfThere(pid);
    sleepMs(20);
  }
  ip('netns', 'delete', namespace);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

// A small network on one machine: a client and its workers, each a network namespace, every worker joined to the client
// by a veth pair of its own. Needs root.
//
//   shoalb-PID-c  10.77.1.1 ──── 10.77.1.2  shoalb-PID-w1
//                 10.77.2.1 ──── 10.77.2.2  shoalb-PID-w2
//
// PID is the process that made it, so several may exist side by side, and what a killed one left can be told and removed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { atExit } from './tidy.ts';
import { sleepMs } from './wait.ts';

export type Host = {
  readonly namespace: string;
  /** Where the client reaches it; for the client, where the first worker reaches it. */
  readonly address: string;
};

export type Network = {
  readonly client: Host;
  readonly workers: readonly Host[];
  /** Bytes through the client's interfaces since they were made: link-layer frames, as the kernel counts them. */
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
  const client: Host = { namespace: `${own}c`, address: '10.77.1.1' };
  const workers = Array.from({ length: count }, (_, at): Host => {
    return { namespace: `${own}w${at + 1}`, address: `10.77.${at + 1}.2` };
  });
  const remove = (): void => {
    for (const { namespace } of [client, ...workers]) removeNamespace(namespace);
    forget();
  };
  const forget = atExit(remove);
  for (const { namespace } of [client, ...workers]) {
    ip('netns', 'add', namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  workers.forEach(({ namespace, address }, at) => {
    const near = `w${at + 1}`;
    ip('-n', client.namespace, 'link', 'add', near, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', namespace);
    ip('-n', client.namespace, 'address', 'add', `10.77.${at + 1}.1/24`, 'dev', near);
    ip('-n', client.namespace, 'link', 'set', 'dev', near, 'up');
    ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'uplink');
    ip('-n', namespace, 'link', 'set', 'dev', 'uplink', 'up');
    ip('-n', namespace, 'route', 'add', 'default', 'via', `10.77.${at + 1}.1`);
  });
  return { client, workers, wire: () => wireOf(client.namespace), remove };
}

/** The command that runs `argv` in a host's network. Unlike `ip netns exec` it keeps /sys, where the cgroups are. */
export function inHost(host: Host, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=/run/netns/${host.namespace}`, '--', ...argv];
}

type Link = { readonly ifname: string; readonly stats64: { readonly rx: { bytes: number }; readonly tx: { bytes: number } } };

function wireOf(namespace: string): Wire {
  const links = JSON.parse(ip('-n', namespace, '-s', '-j', 'link', 'show')) as Link[];
  const outward = links.filter(({ ifname }) => ifname !== 'lo');
  return {
    sentBytes: outward.reduce((sum, link) => sum + link.stats64.tx.bytes, 0),
    receivedBytes: outward.reduce((sum, link) => sum + link.stats64.rx.bytes, 0),
  };
}

function removeStale(): void {
  for (const name of ip('netns', 'list').split('\n').map((line) => line.split(' ')[0] ?? '')) {
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

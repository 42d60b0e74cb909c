// A small network on one machine: a client and its workers, each a network namespace, joined by a switch. Needs root.
//
//   shoalb-PID-c   10.77.0.1 ──┐
//   shoalb-PID-w1  10.77.1.2 ──┼── shoalb-PID-s (a bridge)
//   shoalb-PID-w2  10.77.2.2 ──┘
//
// A worker may be behind a slow cable. What workers say to each other does not pass the client's interface. PID is the process that made it, so several may
// exist side by side, and what a killed one left can be told and removed.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { makeProgram } from './programs.ts';
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

export type NetworkOptions = {
  /** For a directory of the caller's that outlives the network. */
  readonly scratch: string;
  /** How long a frame takes each way to the worker of that number, counted from 0. */
  readonly eachWayMs: (worker: number) => number;
};

const atOnce: NetworkOptions = { scratch: '', eachWayMs: () => 0 };

/** Makes a network of `count` workers, after removing those whose maker is dead. It is removed on any exit of this process. */
export function makeNetwork(count: number, { scratch, eachWayMs }: NetworkOptions = atOnce): Network {
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
  plugIn(client, `${own}s`, 'port0');
  for (const [at, host] of workers.entries()) {
    const port = `port${at + 1}`;
    const delayMs = eachWayMs(at);
    if (delayMs > 0) layCable(host, { hub: `${own}s`, port, delayMs, scratch });
    else plugIn(host, `${own}s`, port);
  }
  return { client, workers, wire: () => wireOf(client.namespace), remove };
}

function plugIn(host: Host, hub: string, port: string): void {
  ip('-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', host.namespace);
  connect(host, hub, port);
}

type Cable = { readonly hub: string; readonly port: string; readonly delayMs: number; readonly scratch: string };

/** A slow cable, whose program ends with the host's namespace. */
function layCable(host: Host, { hub, port, delayMs, scratch }: Cable): void {
  const program = makeProgram('delay-link', scratch);
  const args = [String(delayMs * 1000), hub, port, host.namespace, 'uplink'];
  spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] }).unref();
  for (let round = 0; !hasLink(host.namespace, 'uplink'); round += 1) {
    if (round === 100) throw new Error(`no slow cable to ${host.address}`);
    sleepMs(20);
  }
  connect(host, hub, port);
}

function hasLink(namespace: string, name: string): boolean {
  const links = JSON.parse(ip('-n', namespace, '-j', 'link', 'show')) as { readonly ifname: string }[];
  return links.some(({ ifname }) => ifname === name);
}

function connect({ namespace, address }: Host, hub: string, port: string): void {
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

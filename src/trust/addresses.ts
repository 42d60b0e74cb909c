// Where this box has met others of its farm: `HOST:PORT` of admins and workers, the last met first. Builds find their
// hosts, and renewals their admin, without a network that carries mDNS.
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { identityFiles } from './identity-layout.ts';
import { readPrivate, writePrivate } from './private-files.ts';

const maxAddresses = 64;
const maxFileBytes = 64 << 10;
const maxPort = 65_535;

/** `HOST:PORT`, `[V6]:PORT`. */
export function isAddress(text: unknown): text is string {
  if (typeof text !== 'string' || text.length > 262) return false;
  const match = /^(?:\[[0-9a-fA-F:.]{2,45}(?:%[\w.-]{1,16})?\]|[A-Za-z0-9_][A-Za-z0-9._-]*):(\d{1,5})$/.exec(text);
  return match !== null && Number(match[1]) > 0 && Number(match[1]) <= maxPort;
}

export function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Those of a list from a peer or a file that are addresses, as many as are kept. */
export function addressesIn(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  return [...new Set(list.slice(0, 4 * maxAddresses).filter(isAddress))].slice(0, maxAddresses);
}

export function farmAddresses(identityDirectory: string): readonly string[] {
  const found = readPrivate(join(identityDirectory, identityFiles.addresses), maxFileBytes);
  if (found.kind !== 'read') return [];
  try {
    return addressesIn((JSON.parse(found.bytes.toString()) as { addresses?: unknown }).addresses);
  } catch {
    return [];
  }
}

function replaceAddresses(identityDirectory: string, before: readonly string[], wanted: readonly string[]): void {
  const addresses = addressesIn(wanted);
  if (addresses.join(' ') === before.join(' ')) return;
  writePrivate(join(identityDirectory, identityFiles.addresses), `${JSON.stringify({ addresses })}\n`);
}

/** Puts `met` in front. They are hints: what another process adds at the same moment may be lost. */
export function keepAddresses(identityDirectory: string, met: readonly string[]): void {
  const before = farmAddresses(identityDirectory);
  replaceAddresses(identityDirectory, before, [...met, ...before]);
}

/** Where a box was met: as a person wrote it, and the address behind that. */
export type Met = { readonly written: string; readonly reached: string | undefined };

/** The other end of a socket. */
export function reachedBy({
  remoteAddress,
  remotePort,
}: Pick<Socket, 'remoteAddress' | 'remotePort'>): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const host = remoteAddress.replace(/^::ffff:(?=[0-9.]+$)/, '');
  return addressText({ host, port: remotePort });
}

/**
 * Puts where a box was met in front: by its name only while the farm does not tell the address behind that. With both, one
 * box would be two hosts.
 */
export function keepMet(identityDirectory: string, { written, reached }: Met): void {
  const before = farmAddresses(identityDirectory);
  const isTold = reached !== undefined && before.includes(reached);
  const met = isTold ? [reached, ...before.filter((address) => address !== written)] : [written, ...before];
  replaceAddresses(identityDirectory, before, met);
}

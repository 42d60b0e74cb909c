// The flags of `shoal worker`.
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { externalFiles } from '../trust/external.ts';
import { workerStateDir } from '../user-directories.ts';
import type { ListenAddress } from '../worker/claims.ts';
import { commandKinds } from '../worker/actions/commands.ts';
import type { WorkerSettings } from '../worker/keeper/kept-worker.ts';
import type { Invocation } from './invocation.ts';
import { parseListen } from './listen.ts';

const defaultStoreBytes = 10 * 2 ** 30;
const maxSlots = 1024;
// A C compiler takes some 30 MB before it has read anything.
const leastJobMemoryBytes = 64 << 20;
export const workerUsage =
  'usage: shoal worker [--listen ADDR:PORT] [--slots N] [--state DIR] [--store-size 10G] [--job-memory SIZE]\n' +
  '                    [--commands own|shipped|any] [--weight NAME=2] [--contain=none]\n' +
  '                    [--audit FILE|off] [--insecure]\n' +
  '                    [--distcc [ADDR:PORT] [--allow ADDRESS[/BITS]]… [--allow-private]]\n' +
  '                    [--tls-ca FILE --tls-cert FILE --tls-key FILE]\n' +
  '       shoal worker --stdio     (for ssh: leads to the worker that runs here)';

/** A number of bytes; K, M, G and T are powers of 1024. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})([KMGT]?)$/i.exec(text);
  const unit = 'KMGT'.indexOf((match?.[2] ?? '').toUpperCase()) + 1;
  return match === null ? undefined : Number(match[1]) * (match[2] === '' ? 1 : 1024 ** unit);
}

const flags = {
  listen: { type: 'string', multiple: true },
  slots: { type: 'string' },
  state: { type: 'string' },
  'store-size': { type: 'string' },
  'job-memory': { type: 'string' },
  weight: { type: 'string', multiple: true },
  commands: { type: 'string' },
  contain: { type: 'string' },
  audit: { type: 'string' },
  insecure: { type: 'boolean' },
  'tls-ca': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
} as const;

/** What the arguments ask for, or what is wrong with them. */
export function parseWorkerArgs(args: readonly string[], env: Invocation['env']): WorkerSettings | string {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return (error as Error).message;
  }
  const listen: ListenAddress[] = [];
  for (const text of values.listen ?? []) {
    const address = parseListen(text);
    if (address === undefined) return `--listen ${text}: not ADDR:PORT`;
    listen.push(address);
  }
  const slots = values.slots === undefined ? availableParallelism() : Number(values.slots);
  if (!Number.isInteger(slots) || slots < 1 || slots > maxSlots) return `--slots ${values.slots}: not 1 to ${maxSlots}`;
  const storeBytes = values['store-size'] === undefined ? defaultStoreBytes : parseSize(values['store-size']);
  if (storeBytes === undefined) return `--store-size ${values['store-size']}: not a size such as 10G`;
  const jobMemoryBytes = values['job-memory'] === undefined ? undefined : parseSize(values['job-memory']);
  if (values['job-memory'] !== undefined && (jobMemoryBytes ?? 0) < leastJobMemoryBytes) {
    return `--job-memory ${values['job-memory']}: not a size such as 2G, of 64M at least`;
  }
  const weights = new Map<string, number>();
  for (const text of values.weight ?? []) {
    const [client, weight] = parseWeight(text);
    if (client === '' || !(weight >= 0.01 && weight <= 100)) return `--weight ${text}: not NAME=WEIGHT, 0.01 to 100`;
    weights.set(client, weight);
  }
  const commands = commandKinds.find((kind) => kind === values.commands);
  if (commands === undefined && values.commands !== undefined) {
    return `--commands ${values.commands}: not ${commandKinds.join(', ')}`;
  }
  if (values.contain !== undefined && values.contain !== 'none')
    return `--contain ${values.contain}: only none is known`;
  const state = values.state ?? workerStateDir(env);
  const external = externalFiles(values, env);
  if (typeof external === 'string') return external;
  return {
    listen: listen.length > 0 ? listen : undefined,
    slots,
    stateDir: state,
    storeBytes,
    ...(jobMemoryBytes === undefined ? {} : { jobMemoryBytes }),
    weights,
    ...(commands === undefined ? {} : { commands }),
    ...(values.contain === 'none' ? { contain: values.contain } : {}),
    audit: auditPath(values.audit, state),
    insecure: values.insecure ?? false,
    external,
  };
}

/** A member by its name; `local` is this box's own user. */
function parseWeight(text: string): [client: string, weight: number] {
  const at = text.lastIndexOf('=');
  const name = text.slice(0, Math.max(0, at));
  return [name === 'local' || name === '' ? name : `member ${name}`, Number(text.slice(at + 1))];
}

function auditPath(asked: string | undefined, state: string): string | undefined {
  return asked === 'off' ? undefined : resolve(asked ?? join(state, 'audit.log'));
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
}

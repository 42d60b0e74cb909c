// `shoal worker --distcc [ADDR:PORT] [--allow ADDRESS[/BITS]]…`: the worker also serves distcc's clients.
import { accessList, privateNetworks } from '../trust/access-list.ts';
import { exposure } from '../worker/distcc/exposure.ts';
import type { DistccSettings } from '../worker/keeper/front-settings.ts';
import { parseListen } from './listen.ts';

const defaultPort = 3632;

export type DistccFlags = {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly allow: readonly string[];
};

export type Taken = { readonly rest: readonly string[]; readonly distcc: DistccFlags | undefined };

/** Takes these flags out of the arguments; text says what is wrong with them. */
export function takeDistccFlags(args: readonly string[]): Taken | string {
  const rest: string[] = [];
  const listen: { readonly host: string; readonly port: number }[] = [];
  const allow: string[] = [];
  let wanted = false;
  for (let at = 0; at < args.length; at += 1) {
    const [flag = '', ...after] = (args[at] ?? '').split('=');
    const next = args[at + 1];
    const attached = after.length > 0 ? after.join('=') : undefined;
    const value = attached ?? (next === undefined || next.startsWith('-') ? undefined : next);
    if (flag !== '--distcc' && flag !== '--allow' && flag !== '--allow-private') {
      rest.push(args[at] ?? '');
      continue;
    }
    if (flag === '--allow-private') {
      allow.push(...privateNetworks);
      continue;
    }
    if (value !== undefined && attached === undefined) at += 1;
    if (flag === '--allow') {
      if (value === undefined) return '--allow needs an address or a network, such as 10.0.0.0/8';
      allow.push(value);
      continue;
    }
    wanted = true;
    const address = value === undefined ? undefined : parseListen(value, defaultPort);
    if (value !== undefined && address === undefined) return `--distcc ${value}: not ADDR:PORT`;
    if (address !== undefined) listen.push(address);
  }
  return checked({ rest, wanted, listen, allow });
}

type Found = DistccFlags & { readonly rest: readonly string[]; readonly wanted: boolean };

function checked({ rest, wanted, listen, allow }: Found): Taken | string {
  if (!wanted)
    return allow.length === 0 ? { rest, distcc: undefined } : '--allow is for --distcc: members prove who they are';
  try {
    accessList(allow);
  } catch (error) {
    return `--allow ${(error as Error).message}`;
  }
  const anywhere = allow.some((entry) => entry.includes(':')) ? '::' : '0.0.0.0';
  const usual = [{ host: allow.length > 0 ? anywhere : '127.0.0.1', port: defaultPort }];
  const distcc = { listen: listen.length > 0 ? listen : usual, allow };
  return exposure(distcc) ?? { rest, distcc };
}

/** For the front. */
export function distccSettings({ allow }: DistccFlags): DistccSettings {
  return { allow, hasStats: false, log: 'warnings' };
}

// How builds reach hosts of distcc: by the variables of their own environments, not by those of whoever started the daemon.
// Builds whose variables are the same share a way, and with it the helper that proves who their user is.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openAuthenticator, type Authenticator } from '../../distcc/gss-authenticator.ts';
import { newPacketCache } from '../../distcc/sent-files.ts';
import { distccWay, type DistccWay } from '../../farm/distcc-host.ts';
import { ensureGss } from '../../native.ts';
import { wayVariables, type WayVariables } from '../session/settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type DistccWays = {
  readonly find: (variables: WayVariables) => DistccWay;
  readonly close: () => void;
};

/** Of the runtime directory; a daemon that was killed leaves one, with its process id in the name. */
export const gssPrefix = 'gss.';

// Somebody who changes them all the time has a helper less, not a daemon that grows.
const mostWays = 32;

type Opened = { readonly way: DistccWay; readonly authenticator: Authenticator; readonly directory: string };

/** `env`: what is none of those variables is as there. `directory`: of this user alone, with a short path. */
export function openDistccWays(env: Environment, directory: string): DistccWays {
  const packets = newPacketCache();
  const open = new Map<string, Opened>();
  let made = 0;
  const end = (key: string, { authenticator, directory: own }: Opened): void => {
    open.delete(key);
    authenticator.close();
    rmSync(own, { recursive: true, force: true });
  };
  const openWay = (variables: WayVariables): Opened => {
    const others = Object.entries(env).filter(([name]) => !wayVariables.some((one) => one === name));
    const own = { ...Object.fromEntries(others), ...variables };
    const place = join(directory, `${gssPrefix}${process.pid}.${(made += 1)}`);
    const authenticator = openAuthenticator({ env: own, directory: place, program: ensureGss });
    return { way: distccWay(own, authenticator.authenticate, packets), authenticator, directory: place };
  };
  return {
    find: (variables) => {
      const key = JSON.stringify(variables);
      const found = open.get(key) ?? openWay(variables);
      // The latest used last.
      open.delete(key);
      open.set(key, found);
      const [oldest] = open.keys();
      const old = oldest === undefined ? undefined : open.get(oldest);
      if (open.size > mostWays && oldest !== undefined && old !== undefined) end(oldest, old);
      return found.way;
    },
    close: () => {
      for (const [key, opened] of open) end(key, opened);
    },
  };
}

// Our client's way to prove who its user is, at hosts marked `,auth`: what has to be said before the first packet.
import { lookupService } from 'node:dns/promises';
import { mkdirSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { gssSocketName, openGssExchange, startGssHelper, type GssExchange, type GssHelper } from '../trust/gssapi.ts';
import { authenticateServer } from './authentication.ts';
import { DistccError } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type Authenticator = {
  /** `principal`: the name in `auth=NAME`. @throws DistccError; the stream is then of no more use. */
  readonly authenticate: (
    stream: Duplex,
    peer: { readonly host: string; readonly principal: string | undefined },
  ) => Promise<void>;
  readonly close: () => void;
};

export type AuthenticatorOptions = {
  /** KRB5CCNAME, KRB5_CONFIG, DISTCC_PRINCIPAL. */
  readonly env: Environment;
  /** Of this user alone; made if it is not there. */
  readonly directory: string;
  /** `ensureGss` */
  readonly program: () => Promise<string>;
};

/**
 * Of which box the server has to prove to be. Stock distcc asks the network for the name of the address; who
 * answers that could name a box of his own, so here a full name is what it says.
 */
async function nameOf(stream: Duplex, host: string): Promise<string> {
  if (isIP(host) === 0 && host.includes('.')) return host;
  const { remoteAddress = isIP(host) === 0 ? undefined : host } = stream as Partial<Socket>;
  if (remoteAddress === undefined) return host;
  try {
    return (await lookupService(remoteAddress, 0)).hostname;
  } catch (error) {
    const why = `no name is known for ${remoteAddress}: write ,auth=NAME in the list of hosts`;
    throw new DistccError('REFUSED', why, { cause: error });
  }
}

/** The helper is started when it is first needed, and ends by itself when it is not any more. */
export function openAuthenticator({ env, directory, program }: AuthenticatorOptions): Authenticator {
  let helper: Promise<GssHelper> | undefined;

  const start = async (): Promise<GssHelper> => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return startGssHelper({ program: await program(), directory, as: { kind: 'initiate' }, env });
  };
  const running = async (): Promise<void> => {
    if (helper === undefined) {
      const started = start();
      helper = started;
      const forget = (): void => {
        if (helper === started) helper = undefined;
      };
      started.then(({ ended }) => ended.then(forget), forget);
    }
    await helper;
  };

  const authenticate: Authenticator['authenticate'] = async (stream, { host, principal }) => {
    const service = env['DISTCC_PRINCIPAL'] || 'host';
    const name = principal ?? (await nameOf(stream, host));
    const open = async (): Promise<GssExchange> => {
      await running();
      return openGssExchange(join(directory, gssSocketName));
    };
    await authenticateServer(stream, open, `${service}@${name}`);
  };

  return { authenticate, close: () => void helper?.then(({ end }) => end()).catch(() => undefined) };
}

// Who joins the farm does so at the port where its members come in: an admin's worker speaks the joining protocol beside
// HTTP/2.
import { ownAddresses } from '../../farm/mdns.ts';
import type { TlsDoor } from '../../reapi/doors.ts';
import { addressText } from '../../trust/addresses.ts';
import type { FarmTrust } from '../../trust/live-trust.ts';
import { joinProtocol } from '../../trust/pairing-messages.ts';
import { openPairing, type Pairing, type PairingEvent } from '../../trust/pairing-server.ts';

export type PairingDoor = {
  readonly protocols: (farm: FarmTrust) => TlsDoor['protocols'];
  readonly close: () => void;
};

type Listening = { readonly host: string; readonly port: number };

/** Where others reach a listener: one on all addresses has all of the box's. */
export function reachedAt(listeners: readonly Listening[]): readonly string[] {
  return listeners.flatMap(({ host, port }) => {
    if (host === '::' || host === '0.0.0.0') return ownAddresses().map((address) => `${address}:${port}`);
    return [addressText({ host, port })];
  });
}

/** `listeners`: those that other boxes reach, once they are known. */
export function newPairingDoor(listeners: () => readonly Listening[], log: (event: PairingEvent) => void): PairingDoor {
  const open = new Map<string, Pairing>();
  const none: TlsDoor['protocols'] = new Map();
  return {
    protocols: ({ identity: { directory, caKeyPath, desk } }) => {
      if (directory === undefined || caKeyPath === undefined) return none;
      const addresses = (): readonly string[] => reachedAt(listeners());
      const pairing = open.get(directory) ?? openPairing(directory, { now: () => Date.now(), addresses, log, desk });
      open.set(directory, pairing);
      return new Map([[joinProtocol, (socket) => void pairing.serve(socket)]]);
    },
    close: () => {
      for (const pairing of open.values()) pairing.close();
    },
  };
}

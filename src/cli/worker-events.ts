// What happens to a worker, in words for whoever started it. Apart from front.ts: the keeper says some of it, too, and holds
// none of the front's code.
import type { PairingEvent } from '../trust/pairing-server.ts';
import type { WorkerEvent } from '../worker/events.ts';

function refusalText({ address, reason, name, untold }: Extract<WorkerEvent, { kind: 'refused-peer' }>): string {
  const who = name === undefined ? '' : ` (${name})`;
  return `refused ${address}: ${reason}${who}${untold === 0 ? '' : `; before it ${untold} more`}`;
}

export function pairingText(event: PairingEvent): string {
  if (event.kind === 'admitted') return `${event.name} (${event.role}) has joined the farm from ${event.address}`;
  return `${event.address} has not joined the farm: ${event.why}`;
}

const uncontainedText =
  'WARNING: --contain=none: compiles run without namespaces. Each has a user, a root directory, limits and a filter of ' +
  'system calls of its own, and no network; but a hole in the kernel, or a job that finds its way out of the directory, is ' +
  'on this box, sees its processes, and can fill its disk. Let only people use it whom you would give a login here';

/** Undefined: nothing to say, or said elsewhere. */
export function eventText(event: WorkerEvent): string | undefined {
  switch (event.kind) {
    case 'listening':
    case 'socket-taken':
      return undefined;
    case 'uncontained':
      return uncontainedText;
    case 'toolchain-found':
      return `toolchain ${event.hash.slice(0, 12)}: ${event.driver} ${event.version}`;
    case 'toolchain-gone':
      return `toolchain ${event.hash.slice(0, 12)} has gone: ${event.driver} was changed or removed`;
    case 'toolchain-broken':
      return `a toolchain cannot be used: ${event.driver} ${event.why}`;
    case 'refused-peer':
      return refusalText(event);
    case 'pairing':
      return pairingText(event.event);
    case 'revoked':
      return `${event.name} was put out of the farm`;
    case 'renewed':
      return `the certificate was renewed, until ${new Date(event.until).toISOString()}`;
    case 'renewal-failed':
      return `the certificate could not be renewed: ${event.why}`;
  }
}

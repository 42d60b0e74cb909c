// What a worker's log and its audit log both tell: who came, and who was not let in.
import type { AuditEvent } from '../observe/audit-log.ts';
import type { PairingEvent } from '../trust/pairing-server.ts';
import type { WorkerEvent } from './events.ts';

export function joinAuditOf(event: PairingEvent): AuditEvent {
  const { address } = event;
  if (event.kind === 'admitted') return { event: 'joined', address, name: event.name, role: event.role };
  return { event: 'join-refused', address, why: `${event.reason}: ${event.why}` };
}

function auditEventOf(event: WorkerEvent): AuditEvent | undefined {
  switch (event.kind) {
    case 'refused-peer': {
      const { address, name, reason, untold } = event;
      const why = untold === 0 ? reason : `${reason}; before it ${untold} more`;
      return { event: 'peer-refused', address, ...(name === undefined ? {} : { name }), why };
    }
    case 'pairing':
      return joinAuditOf(event.event);
    case 'revoked':
      return { event: 'revoked', name: event.name };
    default:
      return undefined;
  }
}

export function audited(
  log: (event: WorkerEvent) => void,
  audit: (event: AuditEvent) => void,
): (event: WorkerEvent) => void {
  return (event) => {
    const told = auditEventOf(event);
    if (told !== undefined) audit(told);
    log(event);
  };
}

// What a worker's log and its audit log both tell: who came, and who was not let in.
import type { AuditEvent } from '../observe/audit-log.ts';
import type { WorkerEvent } from './worker.ts';

function auditEventOf(event: WorkerEvent): AuditEvent | undefined {
  switch (event.kind) {
    case 'refused-peer': {
      const { address, name, reason, untold } = event;
      const why = untold === 0 ? reason : `${reason}; before it ${untold} more`;
      return { event: 'peer-refused', address, ...(name === undefined ? {} : { name }), why };
    }
    case 'pairing': {
      const { event: paired } = event;
      const { address } = paired;
      if (paired.kind === 'admitted') return { event: 'joined', address, name: paired.name, role: paired.role };
      return { event: 'join-refused', address, why: `${paired.reason}: ${paired.why}` };
    }
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

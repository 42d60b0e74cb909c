// What can go wrong with a job on a host, and when it counts against the host. What breaks the connection or is a wrong
// answer counts at once. What may be the job's own doing (too large, too long, refused) counts when it befalls one job
// after the other there: a host that does none of them any more is no use, whatever each may have been.
import { troubleWith, type Host, type HostWorld, type Place } from '../../farm/host.ts';
import type { ReasonId } from '../../observe/reasons.ts';
import { GrpcError, grpcCode, isBusy } from '../../reapi/errors.ts';

export type HostFault = {
  readonly kind: 'host-fault';
  readonly reason: ReasonId;
  readonly detail: string;
  /** When it counts against the host. */
  readonly counts: 'at-once' | 'if-repeated' | 'never';
};

const repeatedAt = 3;

/** The fault behind a gRPC status, of a call or of an execution. */
export function faultOf(code: number, detail: string): HostFault {
  const fault = (reason: ReasonId, counts: HostFault['counts']): HostFault => {
    return { kind: 'host-fault', reason, detail, counts };
  };
  switch (code) {
    case grpcCode.UNAVAILABLE:
      return fault('worker-lost', 'at-once');
    case grpcCode.DATA_LOSS:
      return fault('bad-answer', 'at-once');
    case grpcCode.DEADLINE_EXCEEDED:
      return fault('worker-stalled', 'if-repeated');
    case grpcCode.RESOURCE_EXHAUSTED:
      return fault('worker-full', 'if-repeated');
    case grpcCode.NOT_FOUND:
      return fault('missing-blobs', 'if-repeated');
    default:
      return fault('worker-failed', 'if-repeated');
  }
}

/** The host serves others too, and has enough of ours. */
export function busyFault(detail: string): HostFault {
  return { kind: 'host-fault', reason: 'worker-busy', detail, counts: 'never' };
}

/** The host's fault in an error of a call; undefined where the error is this side's. */
export function faultIn(error: unknown): HostFault | undefined {
  if (!(error instanceof GrpcError)) return undefined;
  return isBusy(error) ? busyFault(error.message) : faultOf(error.code, error.message);
}

/**
 * Counts the fault, of those that the end of a connection brings about only the first. What else runs on a host that has
 * to rest may end there (a worker that is stopped in order finishes its jobs), unless its answers are wrong.
 */
export function blame({ host, ready }: Pick<Place, 'host' | 'ready'>, world: HostWorld, fault: HostFault): void {
  if (host.state !== ready || fault.counts === 'never') return;
  host.faultsInRow += 1;
  if (fault.counts === 'if-repeated' && host.faultsInRow < repeatedAt) return;
  troubleWith({ host, ready }, world, { why: fault.detail, gently: fault.reason !== 'bad-answer' });
}

/** A job done clears the host's record. */
export function noteSuccess(host: Host): void {
  host.failures = 0;
  host.faultsInRow = 0;
  host.jobsDone += 1;
}

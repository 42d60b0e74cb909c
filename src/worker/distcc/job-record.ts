// What the audit log says of a distcc client's job.
import type { JobResult } from '../../observe/audit-log.ts';
import type { Peer } from '../../trust/peer.ts';
import type { SandboxResult } from '../sandbox/sandbox.ts';

/** `client` as in the queue before slots. */
export function peerOf(client: string, principal?: string): Peer {
  if (client === 'local') return { kind: 'local' };
  return { kind: 'stranger', address: client.replace(/^address /, ''), ...(principal !== undefined && { principal }) };
}

export function jobResultOf(ran: SandboxResult): JobResult {
  if (ran.kind === 'cancelled') return ran;
  if (ran.kind === 'failed') return { kind: 'failed', why: ran.why };
  const { waitStatus, usage, stdout, stderr, outputs, trouble } = ran;
  if (trouble.length > 0) return { kind: 'failed', why: trouble.join(', ') };
  const signal = waitStatus & 0x7f;
  let outputBytes = stdout.length + stderr.length;
  for (const output of outputs) outputBytes += output.kind === 'file' ? output.content.length : 0;
  return {
    kind: 'ran',
    exitCode: signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal,
    cpuMs: Math.round((usage.userUs + usage.systemUs) / 1000),
    wallMs: Math.round(usage.wallUs / 1000),
    peakKb: usage.maxRssKb,
    outputBytes,
  };
}

// What the audit log says of a job's end.
import type { JobResult } from '../../observe/audit-log.ts';
import { jobUsageUrl } from '../../reapi/execute-call.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { ActionResult } from '../../reapi/gen/remote_execution.ts';
import { JobUsage } from '../../reapi/gen/shoal.ts';
import type { OperationState } from './operations.ts';

export type Asked = {
  /** This call began the run; else it found one under way. */
  readonly began: boolean;
  readonly left: boolean;
};

export function jobResult(state: OperationState, { began, left }: Asked): JobResult {
  if (left) return { kind: 'cancelled' };
  if (state.kind === 'failed') return failure(state.error);
  if (state.kind !== 'done') return { kind: 'failed', why: 'the run has not ended' };
  const { result, cached } = state.end;
  const { exitCode } = result;
  const outputBytes = bytesOf(result);
  if (cached || !began) return { kind: cached ? 'cached' : 'shared', exitCode, outputBytes };
  return { kind: 'ran', exitCode, ...usageOf(result), outputBytes };
}

function failure(error: unknown): JobResult {
  if (error instanceof GrpcError && error.code === grpcCode.CANCELLED) return { kind: 'cancelled' };
  return { kind: 'failed', why: (error as Error).message };
}

function bytesOf({ outputFiles, stdoutDigest, stderrDigest }: ActionResult): number {
  let bytes = (stdoutDigest?.sizeBytes ?? 0) + (stderrDigest?.sizeBytes ?? 0);
  for (const { digest } of outputFiles) bytes += digest?.sizeBytes ?? 0;
  return bytes;
}

function usageOf({ executionMetadata }: ActionResult): { cpuMs: number; wallMs: number; peakKb: number } {
  const found = executionMetadata?.auxiliaryMetadata.find(({ typeUrl }) => typeUrl === jobUsageUrl);
  const { userUs, systemUs, wallUs, maxRssKb } = JobUsage.decode(found?.value ?? Buffer.alloc(0));
  return { cpuMs: Math.round((userUs + systemUs) / 1000), wallMs: Math.round(wallUs / 1000), peakKb: maxRssKb };
}

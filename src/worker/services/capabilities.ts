// Capabilities, and shoal's own list of toolchains: what this worker can do.
import { totalmem } from 'node:os';
import { unary, type Handler } from '../../reapi/server.ts';
import {
  Compressor_Value,
  DigestFunction_Value,
  GetCapabilitiesRequest,
  ServerCapabilities,
  SymlinkAbsolutePathStrategy_Value,
} from '../../reapi/gen/remote_execution.ts';
import { ListRequest, ListResponse, type Toolchain } from '../../reapi/gen/shoal.ts';
import { version } from '../../observe/version.ts';
import { maxBatchBytes, servicePrefix } from './checks.ts';

const semver = (major: number, minor: number) => ({ major, minor, patch: 0, prerelease: '' });
const digestFunctions = [DigestFunction_Value.SHA256];
const onlyPriority = { priorities: [{ minPriority: 0, maxPriority: 0 }] };

const capabilities: ServerCapabilities = {
  cacheCapabilities: {
    digestFunctions,
    // Only what this worker has executed itself is in its cache.
    actionCacheUpdateCapabilities: { updateEnabled: false },
    cachePriorityCapabilities: onlyPriority,
    maxBatchTotalSizeBytes: maxBatchBytes,
    // Targets may lead anywhere: a job's root is all there is.
    symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy_Value.ALLOWED,
    supportedCompressors: [Compressor_Value.ZSTD],
    supportedBatchUpdateCompressors: [Compressor_Value.ZSTD],
    maxCasBlobSizeBytes: 0,
    splitBlobSupport: false,
    spliceBlobSupport: false,
    fastCdc2020Params: undefined,
    repMaxCdcParams: undefined,
  },
  executionCapabilities: {
    digestFunction: DigestFunction_Value.SHA256,
    execEnabled: true,
    executionPriorityCapabilities: onlyPriority,
    supportedNodeProperties: ['mtime'],
    digestFunctions,
  },
  deprecatedApiVersion: undefined,
  lowApiVersion: semver(2, 0),
  highApiVersion: semver(2, 3),
};

export type WorkerFacts = {
  readonly name: string;
  readonly slots: number;
  readonly toolchains: () => readonly Toolchain[];
};

export function capabilitiesService(facts: WorkerFacts): readonly Handler[] {
  return [
    unary(
      {
        path: `${servicePrefix}.Capabilities/GetCapabilities`,
        request: GetCapabilitiesRequest,
        response: ServerCapabilities,
      },
      () => capabilities,
    ),
    unary({ path: '/shoal.v1.Toolchains/List', request: ListRequest, response: ListResponse }, () => ({
      toolchains: [...facts.toolchains()],
      slots: facts.slots,
      worker: facts.name,
      version,
      memoryKb: Math.floor(totalmem() / 1024),
    })),
  ];
}

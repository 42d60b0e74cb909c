// Every decoder that bytes of somebody else's reach; those of members and who would be one are in trust-targets.ts, of
// distcc's wire in distcc-targets.ts. What a target lets through as an expected error is what its callers expect; anything
// else is a finding.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseControlRequest } from '../../src/client/daemon/control.ts';
import { decodePreamble, decodeRequest, maxRequestBytes } from '../../src/client/launcher-wire.ts';
import { settingsFrom, SettingsError } from '../../src/client/session/settings.ts';
import { parseHosts } from '../../src/farm/host-spec.ts';
import { digestOf, type Digest } from '../../src/reapi/digest.ts';
import { GrpcError, grpcCode } from '../../src/reapi/errors.ts';
import { packInputs, unpackInputs } from '../../src/reapi/inline-inputs.ts';
import { ExecuteRequest } from '../../src/reapi/gen/shoal.ts';
import { FramingError, newDeframer } from '../../src/reapi/grpc-framing.ts';
import { parseResourceName, writeName } from '../../src/reapi/resource-name.ts';
import { applySplice } from '../../src/reapi/splice.ts';
import { compress, decompress, ZstdError, zstdReady } from '../../src/reapi/zstd.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { parseListen } from '../../src/cli/listen.ts';
import { parseSize } from '../../src/cli/worker-flags.ts';
import { understandAction } from '../../src/worker/actions/action-input.ts';
import { decodeHoldings } from '../../src/worker/services/clients.ts';
import { decodeDirectory } from '../../src/worker/trees/directories.ts';
import { newFrameReader, SandboxProtocolError } from '../../src/worker/sandbox/codec.ts';
import { actionBlobs, treeBlobs } from '../worker/rig.ts';
import { distccTargets } from './distcc-targets.ts';
import { launcherRequest, sandboxFrames } from './seeds.ts';
import { openServices } from './services.ts';
import { plain, tolerating, type TargetTable } from './target.ts';
import { trustTargets } from './trust-targets.ts';

const refusals: ReadonlySet<number> = new Set([grpcCode.INVALID_ARGUMENT, grpcCode.FAILED_PRECONDITION]);

/** A request that is wrong is the caller's fault, and said so. */
function refusing(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (error instanceof ZstdError || (error instanceof GrpcError && refusals.has(error.code))) return;
    throw error;
  }
}

const text = (input: Buffer): string => input.toString('utf8');

const sample = actionBlobs({
  argv: ['/usr/bin/gcc', '-c', 'a.c'],
  tree: { 'a.c': 'int a;', 'inc/a.h': 'int b;', link: { target: 'a.c' } },
  outputs: ['a.o'],
  properties: [
    { name: 'shoal-cwd', value: '/' },
    { name: 'shoal-root', value: 'input' },
  ],
});

/** A store in which every digest of the action's own is there, and each other one is `second`. */
function storeOf(first: Buffer, second: Buffer): Pick<BlobStore, 'readNow'> {
  const own = digestOf(first).hash;
  return { readNow: ({ hash }: Digest) => (hash === own ? first : second) };
}

function half(input: Buffer): readonly [Buffer, Buffer] {
  const at = input.length > 0 ? 1 + Math.floor(((input.length - 1) * (input[0] ?? 0)) / 255) : 0;
  return [input.subarray(Math.min(1, input.length), at), input.subarray(at)];
}

/** Two messages as one input: where the second begins stands in the first byte, in 255ths. */
function joined(first: Uint8Array, second: Uint8Array): Buffer {
  const share = Math.round((255 * first.length) / (first.length + second.length));
  return Buffer.concat([Buffer.from([share]), first, second]);
}

const [action, command] = [sample.blobs.at(-1)?.bytes, sample.blobs.at(-2)?.bytes];
const bytesOf = (bytes: Uint8Array | undefined): Buffer => Buffer.from(bytes ?? []);

const base = Buffer.from('a Directory as it was sent before, of some length');

async function packedSeeds(): Promise<Buffer[]> {
  await zstdReady();
  const bytes = Buffer.from('a Directory as it was sent just now, of some length'.repeat(5));
  const packed = packInputs([
    { digest: digestOf(bytes), bytes, base: undefined },
    { digest: digestOf(base), bytes: base, base: { digest: digestOf(base), bytes: base } },
  ]);
  return [Buffer.from(ExecuteRequest.encode({ execute: undefined, ...packed }).finish())];
}

export const targets: TargetTable = {
  ...trustTargets,
  ...distccTargets,
  'launcher-request': plain('launcher-request', [launcherRequest], (input) => {
    const decoded = decodeRequest(input);
    if (decoded.kind === 'request')
      assert.ok(decoded.request.compiler.startsWith('/') && decoded.request.argv.length > 0);
    if (input.length < 8) return;
    assert.ok((decodePreamble(input)?.bodyBytes ?? 0) <= maxRequestBytes);
  }),
  control: plain('control', ['{"op":"status"}', '{"op":"explain","file":"/a.c"}'], (input) => {
    parseControlRequest(input);
  }),
  'sandbox-frames': plain('sandbox-frames', [sandboxFrames], (input) => {
    const whole = newFrameReader();
    tolerating([SandboxProtocolError], () => {
      whole(input);
    });
    const pieces = newFrameReader();
    tolerating([SandboxProtocolError], () => {
      for (const byte of input) pieces(Buffer.from([byte]));
    });
  }),
  'grpc-frames': plain('grpc-frames', [Buffer.from([0, 0, 0, 0, 2, 1, 2])], (input) => {
    tolerating([FramingError], () => newDeframer().push(input));
  }),
  directory: plain(
    'directory',
    treeBlobs({ 'a/b': 'c', 'a/d': { target: 'b' }, e: 'f' }).blobs.map(({ bytes }) => bytesOf(bytes)),
    (input) => {
      refusing(() => {
        const { files, directories, symlinks } = decodeDirectory(digestOf(input), input);
        for (const name of [...files.keys(), ...directories.keys(), ...symlinks.keys()]) {
          assert.ok(!/[/\0]/.test(name) && name !== '' && name !== '.' && name !== '..');
        }
      });
    },
  ),
  action: plain('action', [joined(bytesOf(action), bytesOf(command))], (input) => {
    const [first, second] = half(input);
    refusing(() => {
      const understood = understandAction(storeOf(first, second) as BlobStore, digestOf(first));
      for (const { path } of understood.outputs) assert.ok(!path.startsWith('/') && !path.split('/').includes('..'));
    });
  }),
  'inline-inputs': async () => ({
    name: 'inline-inputs',
    seeds: await packedSeeds(),
    run: (input) => {
      let request: ExecuteRequest;
      try {
        request = ExecuteRequest.decode(input);
      } catch {
        return;
      }
      refusing(() => {
        for (const { digest, bytes } of unpackInputs(request, () => base)) assert.equal(bytes.length, digest.sizeBytes);
      });
    },
  }),
  splice: plain('splice', [Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, 7])], (input) => {
    if (input.length < 8) return;
    const [head, tail] = [input.readInt32LE(0), input.readInt32LE(4)];
    const bytes = applySplice(base, { head, middle: input.subarray(8), tail });
    assert.ok(bytes === undefined || bytes.length <= base.length + input.length);
  }),
  zstd: async () => {
    await zstdReady();
    const seeds = ['', 'a', 'text '.repeat(100)].map((of) => compress(Buffer.from(of)));
    const run = (input: Buffer): void => {
      const size = (input[0] ?? 0) * 16;
      tolerating([ZstdError], () => assert.equal(decompress(input.subarray(1), size).length, size));
    };
    return { name: 'zstd', seeds: seeds.map((seed) => Buffer.concat([Buffer.from([31]), seed])), run };
  },
  'resource-name': plain('resource-name', [writeName(digestOf(base), 'zstd', { uuid: 'u' })], (input) => {
    const name = parseResourceName(text(input));
    if (name !== undefined) assert.match(name.digest.hash, /^[0-9a-f]{64}$/);
  }),
  hosts: plain('hosts', ['10.0.0.2:8475/4 grpcs://farm.example:443 distcc://10.0.0.3/8,lzo [::1]:7'], (input) => {
    parseHosts(text(input));
  }),
  settings: plain('settings', ['SHOAL_STRICT=2%\nSHOAL_HOSTS=a b\nSHOAL_PROOF=0.1'], (input) => {
    const pairs = text(input)
      .split('\n')
      .map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)]);
    tolerating([SettingsError], () => settingsFrom(Object.fromEntries(pairs) as Record<string, string>));
    parseListen(text(input));
    parseSize(text(input));
  }),
  holders: plain('holders', [Buffer.from([5, 0, 0, 0, ...Buffer.from('local'), 0, 0, 0, 0, 0, 0, 0, 0])], (input) => {
    tolerating([RangeError], () => decodeHoldings(input));
  }),
  services: async () => {
    const directory = mkdtempSync(join(tmpdir(), 'shoal-fuzz-'));
    const services = await openServices(directory);
    const close = async (): Promise<void> => {
      await services.close();
      rmSync(directory, { recursive: true, force: true });
    };
    return { name: 'services', seeds: services.seeds, run: services.call, close };
  },
};

// A response: what a server sends. Pure.
//
//   DONE v   STAT wait status   SERR   SOUT   DOTO   and in 3, after success, DOTD
//
// A failed compile has a DOTO of length 0 and no DOTD; a succeeded one may have an empty output, which is a file too.
import { DistccError } from './errors.ts';
import { anyHead, body, bodyPacket, numberOf, packet, type Allowance, type Version } from './packet.ts';
import type { Parsing } from './reader.ts';

export type Response = {
  readonly version: Version;
  /** As from waitpid. */
  readonly waitStatus: number;
  readonly stderr: Buffer;
  readonly stdout: Buffer;
  /** Of no meaning unless the status is 0. */
  readonly output: Buffer;
  /** For make; of protocol 3 alone. */
  readonly dependencies: Buffer;
};

/** `allowance` bounds the bodies together, after decompression. @throws DistccError from the generator, as soon as it cannot become an answer in this version any more. */
export function* parseResponse(version: Version, allowance: Allowance): Parsing<Response> {
  const { number } = yield* anyHead('DONE');
  if (number !== version) throw new DistccError('PROTOCOL', `an answer in protocol ${number} to one of ${version}`);
  const waitStatus = yield* numberOf('STAT', 0xffff);
  const stderr = yield* body('SERR', version, allowance);
  const stdout = yield* body('SOUT', version, allowance);
  const output = yield* body('DOTO', version, allowance);
  const withDependencies = version === 3 && waitStatus === 0;
  const dependencies = withDependencies ? yield* body('DOTD', version, allowance) : Buffer.alloc(0);
  return { version, waitStatus, stderr, stdout, output, dependencies };
}

export function encodeResponse(response: Response): readonly Uint8Array[] {
  const { version, waitStatus, stderr, stdout, output, dependencies } = response;
  const start = [
    packet('DONE', version),
    packet('STAT', waitStatus),
    ...bodyPacket('SERR', stderr, version),
    ...bodyPacket('SOUT', stdout, version),
  ];
  if (waitStatus !== 0) return [...start, packet('DOTO', 0)];
  const end = version === 3 ? bodyPacket('DOTD', dependencies, version) : [];
  return [...start, ...bodyPacket('DOTO', output, version), ...end];
}

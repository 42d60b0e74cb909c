// What `shoal join` and an admin's box say to each other, once each, over TLS 1.3 with ALPN `shoal-join/1`:
//
//   4 bytes length, big-endian; that many bytes of JSON
//
// The one who joins speaks first, and only after it has checked that the other end belongs to the farm of its code. So the
// secret needs no further binding to the TLS session (exportKeyingMaterial): the session ends at a key that the pinned
// authority signed for an admin, and whoever could relay the secret would have to be that admin. The certificate is issued
// for the key that signed the request, and is of no use to anybody else.
import { isAddress } from './addresses.ts';
import { isMemberName } from './member.ts';
import { parseRecord, type MemberRecord } from './member-files.ts';
import { secretBytes } from './pairing-code.ts';

export const joinProtocol = 'shoal-join/1';
export const maxRequestBytes = 16 << 10;
/** Lists of revocations and, for an admin, members. */
export const maxAnswerBytes = 16 << 20;
const headerBytes = 4;
const version = 1;
const maxPem = 8 << 10;
const maxText = 256;
const maxRetryMs = 600_000;

export class PairingMessageError extends Error {
  readonly code = 'PAIRING_MESSAGE';
}

export type JoinRequest = {
  readonly secret: Buffer;
  readonly name: string;
  /** False if the name is only a suggestion: where it is taken, the admin's box adds a number. */
  readonly exactName: boolean;
  readonly csrPem: string;
  readonly hostname: string;
};

const refusals = [
  'wrong-code',
  'expired-code',
  'used-code',
  'dead-code',
  'slow-down',
  'busy',
  'name-taken',
  'not-admin',
  'bad-request',
  'failed',
] as const;
export type Refusal = (typeof refusals)[number];

export type JoinAnswer =
  | {
      readonly kind: 'welcome';
      readonly certificatePem: string;
      /** Encoded lists (revocations.ts). */
      readonly revocations: string;
      readonly addresses: readonly string[];
      /** For an admin. */
      readonly caKeyPem?: string;
      readonly members: readonly MemberRecord[];
    }
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly why: string; readonly retryAfterMs: number };

function framed(value: unknown, maxBytes: number): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  if (body.length > maxBytes) throw new PairingMessageError(`a message of ${body.length} bytes: too large to send`);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

/**
 * Of the bytes that came so far: how long the whole message is, once that is known.
 * @throws PairingMessageError if it is longer than allowed, or more came than announced.
 */
export function messageLength(bytes: Uint8Array, maxBytes: number): number | undefined {
  if (bytes.length < headerBytes) return undefined;
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, headerBytes).readUInt32BE();
  if (length > maxBytes) throw new PairingMessageError(`a message of ${length} bytes: more than ${maxBytes}`);
  if (bytes.length > headerBytes + length) throw new PairingMessageError('more bytes than the message announced');
  return headerBytes + length;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(message: Uint8Array, maxBytes: number): Fields {
  if (messageLength(message, maxBytes) !== message.length) throw new PairingMessageError('a message that is cut short');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(message).subarray(headerBytes).toString());
  } catch (error) {
    throw new PairingMessageError('a message that is not JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null) throw new PairingMessageError('a message that is no object');
  return value as Fields;
}

function textOf(fields: Fields, name: string, maxLength: number): string {
  const value = fields[name];
  if (typeof value !== 'string' || value.length > maxLength) throw new PairingMessageError(`${name}: not such a text`);
  return value;
}

function listOf(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new PairingMessageError(`${name}: not a list`);
  return value;
}

/** What others wrote, fit for a terminal. */
const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?');

export function encodeJoinRequest({ secret, name, exactName, csrPem, hostname }: JoinRequest): Buffer {
  const fields = { version, secret: secret.toString('hex'), name, exactName, csr: csrPem, hostname };
  return framed(fields, maxRequestBytes);
}

/** @throws PairingMessageError if it is none. */
export function decodeJoinRequest(message: Uint8Array): JoinRequest {
  const fields = fieldsOf(message, maxRequestBytes);
  if (fields['version'] !== version) throw new PairingMessageError('the other box has another version of shoal');
  const secret = textOf(fields, 'secret', 2 * secretBytes);
  if (!/^[0-9a-f]+$/.test(secret) || secret.length !== 2 * secretBytes) throw new PairingMessageError('no secret');
  const name = textOf(fields, 'name', maxText);
  if (!isMemberName(name))
    throw new PairingMessageError('name: 1 to 64 letters, digits, dots, hyphens and underscores');
  return {
    secret: Buffer.from(secret, 'hex'),
    name,
    exactName: fields['exactName'] === true,
    csrPem: textOf(fields, 'csr', maxPem),
    hostname: printable(textOf(fields, 'hostname', maxText)),
  };
}

export function encodeJoinAnswer(answer: JoinAnswer): Buffer {
  return framed(answer, maxAnswerBytes);
}

function decodeRefusal(fields: Fields): JoinAnswer {
  const reason = refusals.find((known) => known === fields['reason']) ?? 'failed';
  const wait = fields['retryAfterMs'];
  const retryAfterMs = typeof wait === 'number' && wait >= 0 ? Math.min(wait, maxRetryMs) : 0;
  return { kind: 'refused', reason, why: printable(textOf(fields, 'why', maxText)), retryAfterMs };
}

/** @throws PairingMessageError if it is none. */
export function decodeJoinAnswer(message: Uint8Array): JoinAnswer {
  const fields = fieldsOf(message, maxAnswerBytes);
  if (fields['kind'] === 'refused') return decodeRefusal(fields);
  if (fields['kind'] !== 'welcome') throw new PairingMessageError('neither welcome nor refused');
  const caKey = fields['caKeyPem'] === undefined ? {} : { caKeyPem: textOf(fields, 'caKeyPem', maxPem) };
  return {
    kind: 'welcome',
    certificatePem: textOf(fields, 'certificatePem', maxPem),
    revocations: textOf(fields, 'revocations', maxAnswerBytes),
    addresses: listOf(fields, 'addresses').filter(isAddress),
    ...caKey,
    members: listOf(fields, 'members')
      .map(parseRecord)
      .filter((record) => record !== undefined),
  };
}

// Which members the farm has put out: signed, numbered lists.
//
//   shoal revocations 1
//   farm <SHA-256 of the authority's public key, hexadecimal>
//   number <n>
//   issued <ms since 1970>
//   <the member's half of the serial number> <revoked at, ms since 1970> <name>      sorted, one line each
//   signature <ECDSA P-256 with SHA-256 by the authority's key over the lines above, base64>
//
// Each admin signs the next list on its own, so two may sign the same number with different entries. No list is ever
// replaced by one that lacks an entry of it: a box keeps all lists that no other one contains, and obeys all of them;
// the next list that an admin signs holds everything that it knows, so one remains. What is kept is thus a set that only
// grows, and merging is order-free. A replayed old list changes nothing.
//
// Entries go when every certificate they could stop has expired: `keptMs` after the revocation.
import { createHash, sign, verify, X509Certificate, type KeyObject } from 'node:crypto';
import { isMemberName, memberId } from './member.ts';

export type Revocation = {
  /** The member's half of its serial numbers. */
  readonly member: string;
  readonly name: string;
  readonly revokedAt: number;
};

export type SignedList = {
  readonly number: number;
  readonly issuedAt: number;
  readonly entries: readonly Revocation[];
  /** As signed and sent, signature included. */
  readonly text: string;
};

export type Revocations = {
  readonly lists: readonly SignedList[];
  /** By the member's half of the serial number: of all lists. */
  readonly members: ReadonlyMap<string, Revocation>;
  /** The highest number; 0 if nobody was ever revoked. */
  readonly number: number;
  /** Equal on two boxes if and only if they hold the same lists: 0 if none, else NUMBER-HASH. */
  readonly stamp: string;
};

export class RevocationsError extends Error {
  readonly code = 'REVOCATIONS';
}

export const maxRevocationBytes = 4 << 20;
const maxEntries = 100_000;
// As many as there are admins who revoked somebody since they last heard of each other.
const maxLists = 16;
const dayMs = 86_400_000;
// An admin who has not heard of it could renew the certificate for another 30 days, again and again: a year without any
// contact between two admins is a farm that has come apart.
const keptMs = 400 * dayMs;
const maxTime = 8.64e15;

const heading = 'shoal revocations 1';
const signaturePrefix = 'signature ';

function stampOf(lists: readonly SignedList[], number: number): string {
  if (lists.length === 0) return '0';
  const hash = createHash('sha256');
  for (const { text } of lists) hash.update(text);
  return `${number}-${hash.digest('hex').slice(0, 16)}`;
}

function revocationsOf(unordered: readonly SignedList[]): Revocations {
  const lists = unordered.toSorted((a, b) => b.number - a.number || (a.text < b.text ? -1 : 1));
  const members = new Map<string, Revocation>();
  for (const { entries } of lists) for (const entry of entries) members.set(entry.member, entry);
  const number = lists[0]?.number ?? 0;
  return { lists, members, number, stamp: stampOf(lists, number) };
}

export const noRevocations: Revocations = revocationsOf([]);

/** True if the certificate's member was put out, by any list. */
export function isRevoked(revocations: Revocations, serial: string): boolean {
  return revocations.members.has(memberId(serial));
}

function numberIn(text: string | undefined, most: number): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const number = Number(text);
  return number <= most ? number : undefined;
}

function parseEntry(line: string): Revocation {
  const [member = '', at, name = '', ...rest] = line.split(' ');
  const revokedAt = numberIn(at, maxTime);
  if (rest.length > 0 || revokedAt === undefined || !/^[4-7][0-9A-F]{15}$/.test(member) || !isMemberName(name)) {
    throw new RevocationsError('an entry of a list of revocations cannot be read');
  }
  return { member, revokedAt, name };
}

function parseList(text: string, signedText: string, farm: string): SignedList {
  const [first, farmLine, numberLine, issuedLine, ...rest] = signedText.split('\n');
  if (first !== heading) throw new RevocationsError('not a list of revocations, or one of a newer shoal');
  if (farmLine !== `farm ${farm}`) throw new RevocationsError('a list of revocations of another farm');
  const number = numberIn(/^number (\d+)$/.exec(numberLine ?? '')?.[1], Number.MAX_SAFE_INTEGER);
  const issuedAt = numberIn(/^issued (\d+)$/.exec(issuedLine ?? '')?.[1], maxTime);
  if (number === undefined || issuedAt === undefined || rest.pop() !== '') {
    throw new RevocationsError('the heading of a list of revocations cannot be read');
  }
  if (rest.length > maxEntries) throw new RevocationsError(`a list of more than ${maxEntries} revocations`);
  return { number, issuedAt, entries: rest.map(parseEntry), text };
}

function publicKeyOf(caPem: string): { readonly key: KeyObject; readonly farm: string } {
  const key = new X509Certificate(caPem).publicKey;
  const farm = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return { key, farm };
}

/**
 * Lists as another box sent them or as they were kept, checked against the farm's authority.
 * @throws RevocationsError if any is not signed by it, cannot be read, or is too large.
 */
export function decodeRevocations(bytes: Uint8Array, caPem: string): Revocations {
  if (bytes.length === 0) return noRevocations;
  if (bytes.length > maxRevocationBytes) {
    throw new RevocationsError(`lists of revocations of ${bytes.length} bytes: more than ${maxRevocationBytes}`);
  }
  const { key, farm } = publicKeyOf(caPem);
  const text = Buffer.from(bytes).toString('latin1');
  const lists: SignedList[] = [];
  for (let at = 0; at < text.length;) {
    if (lists.length === maxLists) throw new RevocationsError(`more than ${maxLists} lists of revocations`);
    const signatureAt = text.indexOf(`\n${signaturePrefix}`, at) + 1;
    const end = text.indexOf('\n', signatureAt) + 1;
    if (signatureAt === 0 || end === 0) throw new RevocationsError('a list of revocations without signature');
    const signed = text.slice(at, signatureAt);
    const signature = Buffer.from(text.slice(signatureAt + signaturePrefix.length, end - 1), 'base64');
    if (!verify('sha256', Buffer.from(signed, 'latin1'), key, signature)) {
      throw new RevocationsError("a list of revocations whose signature is not the farm's");
    }
    lists.push(parseList(text.slice(at, end), signed, farm));
    at = end;
  }
  return revocationsOf(lists);
}

export function encodeRevocations(revocations: Revocations): Buffer {
  return Buffer.from(revocations.lists.map(({ text }) => text).join(''), 'latin1');
}

/** True if `larger` stops all that `smaller` does, but what needs no stopping any more. */
export function covers(larger: SignedList, smaller: SignedList, nowMs: number): boolean {
  const held = new Set(larger.entries.map(({ member }) => member));
  return smaller.entries.every(({ member, revokedAt }) => held.has(member) || revokedAt + keptMs < nowMs);
}

/** Which of two lists that cover each other stays: the same one on every box. */
function precedes(a: SignedList, b: SignedList): boolean {
  return a.number === b.number ? a.text < b.text : a.number > b.number;
}

/** Those lists that no other one makes superfluous. */
export function mergeRevocations(a: Revocations, b: Revocations, nowMs: number): Revocations {
  const all = [...new Map([...a.lists, ...b.lists].map((list) => [list.text, list])).values()];
  const kept = all.filter(
    (list) =>
      !all.some(
        (other) =>
          other !== list && covers(other, list, nowMs) && (!covers(list, other, nowMs) || precedes(other, list)),
      ),
  );
  return revocationsOf(kept);
}

export type NextList = {
  readonly known: Revocations;
  readonly added: readonly Revocation[];
  readonly caPem: string;
  readonly caKey: KeyObject;
  readonly nowMs: number;
};

/** The next list: all that is known and still needed, and what is added, signed. */
export function signRevocations({ known, added, caPem, caKey, nowMs }: NextList): Revocations {
  const members = new Map(known.members);
  for (const entry of added) if (!members.has(entry.member)) members.set(entry.member, entry);
  const entries = [...members.values()]
    .filter(({ revokedAt }) => revokedAt + keptMs >= nowMs)
    .toSorted((a, b) => (a.member < b.member ? -1 : 1));
  const { farm } = publicKeyOf(caPem);
  const lines = [heading, `farm ${farm}`, `number ${known.number + 1}`, `issued ${nowMs}`];
  for (const { member, revokedAt, name } of entries) lines.push(`${member} ${revokedAt} ${name}`);
  const signed = `${lines.join('\n')}\n`;
  const signature = sign('sha256', Buffer.from(signed, 'latin1'), caKey).toString('base64');
  return decodeRevocations(Buffer.from(`${signed}${signaturePrefix}${signature}\n`, 'latin1'), caPem);
}

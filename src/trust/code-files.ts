// Codes that wait for somebody to join: a file each in the admin's identity directory, so that `shoal pair` and a running
// worker need no connection to each other. A file holds no secret, only its hash.
//
//   codes/ID        waits, until it expires
//   codes/ID.used   admitted somebody, or was about to when the worker was killed
//   codes/ID.dead   met too many wrong tries
//
// A code is claimed by renaming its file: of two who try at once, one succeeds. That happens before anything is issued,
// so a code that was claimed by a worker which then died admits nobody, instead of two.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { identityFiles } from './identity-layout.ts';
import { isRole } from './member.ts';
import { encodePairingCode, pinBytes, secretBytes } from './pairing-code.ts';
import type { Role } from './peer.ts';
import { makePrivateDirectory, readPrivate, writePrivate } from './private-files.ts';

export const codeLifetimeMs = 600_000;
// For that long a late or second try is told what became of the code.
const rememberedMs = 86_400_000;
const maxPending = 64;
const maxFileBytes = 1024;

export type CodeFile = {
  readonly id: string;
  readonly state: 'pending' | 'used' | 'dead';
  readonly role: Role;
  readonly expiresAt: number;
  readonly hash: Buffer;
};

export class CodeError extends Error {
  readonly code = 'PAIRING_CODE';
}

const directoryOf = (identityDirectory: string): string => join(identityDirectory, identityFiles.codes);

function hashOf(id: string, secret: Uint8Array): Buffer {
  return createHash('sha256').update(`shoal pairing code ${id}\n`).update(secret).digest();
}

function readCode(directory: string, fileName: string): CodeFile | undefined {
  const match = /^([0-9a-f]{16})(?:\.(used|dead))?$/.exec(fileName);
  if (match === null) return undefined;
  const found = readPrivate(join(directory, fileName), maxFileBytes);
  if (found.kind !== 'read') return undefined;
  try {
    const { role, expiresAt, hash } = JSON.parse(found.bytes.toString()) as Partial<Record<keyof CodeFile, unknown>>;
    if (!isRole(role) || typeof expiresAt !== 'number' || typeof hash !== 'string') return undefined;
    const bytes = Buffer.from(hash, 'hex');
    const state = match[2] === 'used' || match[2] === 'dead' ? match[2] : 'pending';
    return bytes.length === 32 ? { id: match[1] ?? '', state, role, expiresAt, hash: bytes } : undefined;
  } catch {
    return undefined;
  }
}

const fileNameOf = ({ id, state }: CodeFile): string => (state === 'pending' ? id : `${id}.${state}`);

/** All codes that are remembered; the files of those that no longer are go. */
function codesIn(identityDirectory: string, nowMs: number): readonly CodeFile[] {
  const directory = directoryOf(identityDirectory);
  if (!existsSync(directory)) return [];
  const codes: CodeFile[] = [];
  for (const fileName of readdirSync(directory)) {
    const code = readCode(directory, fileName);
    if (code === undefined) continue;
    if (code.expiresAt + rememberedMs < nowMs) rmSync(join(directory, fileName), { force: true });
    else codes.push(code);
  }
  return codes;
}

export type NewCode = { readonly text: string; readonly expiresAt: number };

/** @throws CodeError if too many wait already. */
export function newCode(identity: Identity & { readonly directory: string }, role: Role, nowMs: number): NewCode {
  const waiting = codesIn(identity.directory, nowMs).filter(
    ({ state, expiresAt }) => state === 'pending' && expiresAt > nowMs,
  );
  if (waiting.length >= maxPending) {
    throw new CodeError(`${waiting.length} codes wait already: use them, or wait until they expire`);
  }
  const directory = directoryOf(identity.directory);
  makePrivateDirectory(directory);
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(secretBytes);
  const expiresAt = nowMs + codeLifetimeMs;
  const content = { role, expiresAt, hash: hashOf(id, secret).toString('hex') };
  writePrivate(join(directory, id), `${JSON.stringify(content)}\n`);
  const pin = Buffer.from(identity.fingerprint, 'hex').subarray(0, pinBytes);
  return { text: encodePairingCode({ pin, role, secret }), expiresAt };
}

export type CodeFound =
  | { readonly kind: 'pending' | 'expired' | 'used' | 'dead'; readonly code: CodeFile }
  /** The codes that the secret was held against and that still wait. */
  | { readonly kind: 'wrong'; readonly waiting: readonly CodeFile[] };

/** What a secret is good for. Takes as long whichever it is. */
export function findCode(identityDirectory: string, secret: Uint8Array, nowMs: number): CodeFound {
  const codes = codesIn(identityDirectory, nowMs);
  let found: CodeFile | undefined;
  for (const code of codes) if (timingSafeEqual(hashOf(code.id, secret), code.hash)) found = code;
  const expired = ({ state, expiresAt }: CodeFile): boolean => state === 'pending' && expiresAt <= nowMs;
  if (found !== undefined) return { kind: expired(found) ? 'expired' : found.state, code: found };
  return { kind: 'wrong', waiting: codes.filter((code) => code.state === 'pending' && !expired(code)) };
}

/** Takes a waiting code out of use. False if it no longer waits: somebody else was faster. */
export function closeCode(identityDirectory: string, code: CodeFile, as: 'used' | 'dead'): boolean {
  const directory = directoryOf(identityDirectory);
  try {
    renameSync(join(directory, fileNameOf(code)), join(directory, `${code.id}.${as}`));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

// Brings an identity directory into being: complete, or not at all. Under its name there is never a half of one.
import { randomBytes } from 'node:crypto';
import { lstatSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../make-directory.ts';
import { identityFiles } from './identity-layout.ts';
import { makePrivateDirectory, moveDirectory, PrivateFileError, removeLeftovers } from './private-files.ts';
import { writePrivate } from './private-files.ts';

export type IdentityContent = {
  readonly caPem: string;
  readonly caKeyPem?: string | undefined;
  readonly keyPem: string;
  readonly certificatePem: string;
};

/** Key and certificate in one file, so that no crash can leave the one new and the other old. */
export function writeMember(directory: string, keyPem: string, certificatePem: string): void {
  removeLeftovers(directory, Date.now());
  writePrivate(join(directory, identityFiles.member), `${keyPem.trimEnd()}\n${certificatePem.trimEnd()}\n`);
}

const suffix = (): string => randomBytes(6).toString('hex');

/** Makes `DIR.new-…`: to be filled further, and put in its place by placeIdentity. */
export function prepareIdentity(directory: string, content: IdentityContent): string {
  const fresh = `${directory}.new-${suffix()}`;
  makeDirectory(dirname(directory), 0o700);
  removeLeftovers(dirname(directory), Date.now());
  makePrivateDirectory(fresh);
  writePrivate(join(fresh, identityFiles.caCertificate), content.caPem);
  if (content.caKeyPem !== undefined) writePrivate(join(fresh, identityFiles.caKey), content.caKeyPem);
  writeMember(fresh, content.keyPem, content.certificatePem);
  return fresh;
}

/** Puts `fresh` where no identity is. False if there is one: it stays, and so does `fresh`. */
export function placeIdentity(fresh: string, directory: string): boolean {
  try {
    // The kernel refuses to put it onto anything but an empty directory.
    moveDirectory(fresh, directory);
    return true;
  } catch (error) {
    if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) return false;
    throw new PrivateFileError(`cannot make ${directory}: ${(error as Error).message}`, { cause: error });
  }
}

/** Takes away what was prepared and is not wanted. */
export function discardIdentity(fresh: string): void {
  rmSync(fresh, { recursive: true, force: true });
}

/**
 * Puts `fresh` in the place of what is there, which is kept as `DIR.old-…` (returned). A crash in between leaves no
 * identity, with the old one and the new one beside it.
 */
export function replaceIdentity(fresh: string, directory: string): string | undefined {
  if (placeIdentity(fresh, directory)) return undefined;
  const old = `${directory}.old-${suffix()}`;
  moveDirectory(directory, old);
  moveDirectory(fresh, directory);
  return old;
}

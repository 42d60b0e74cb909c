// The admin's side of pairing: a connection that was accepted under ALPN `shoal-join/1` brings one request and gets one
// answer. The files of the identity directory are all it knows: `shoal pair` adds codes to them.
//
// Strangers reach this. So: few connections at a time, a message of 16 KB within 10 s, slower with every wrong try; and
// when all places are taken, one goes that has its answer and does not leave, or else the one that has waited longest for
// its message, because an honest box sends its request with the last bytes of the handshake.
import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { addressesIn, farmAddresses } from './addresses.ts';
import { issueLeaf } from './certificates.ts';
import type { IdentityDesk } from './desk.ts';
import { closeCode, findCode, type CodeFile } from './code-files.ts';
import { readMessage } from './framed-socket.ts';
import { loadIdentity, type Identity } from './identity.ts';
import { memberOf, newSerial } from './member.ts';
import { knownCertificates, membersOf, recordMember } from './member-files.ts';
import { decodeJoinRequest, encodeJoinAnswer, maxRequestBytes } from './pairing-messages.ts';
import type { JoinAnswer, JoinRequest, Refusal } from './pairing-messages.ts';
import type { Role } from './peer.ts';
import { loadRevocations } from './revocation-files.ts';
import { encodeRevocations, isRevoked } from './revocations.ts';
import { readCaKey } from './revoke.ts';
import { peerNetwork, slowDown, type SlowDown } from './tries.ts';

/** For the audit log: who was admitted, who was not. */
export type PairingEvent =
  | { readonly kind: 'admitted'; readonly name: string; readonly role: Role; readonly serial: string; readonly address: string; readonly hostname: string } // prettier-ignore
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly why: string; readonly address: string };

export type PairingDependencies = {
  /** The wall clock: codes expire and certificates are dated by it. */
  readonly now: () => number;
  /** Where this box and others of the farm can be reached: `HOST:PORT`. */
  readonly addresses: () => readonly string[];
  readonly log: (event: PairingEvent) => void;
  /** Where codes and the authority's key are in another's hand. */
  readonly desk?: IdentityDesk | undefined;
  readonly patienceMs?: number;
  readonly maxWrongTries?: number;
};

const patienceMs = 10_000;
const maxConnections = 64;
const maxConnectionsOfOne = 8;
// At 2^-48 a try, a code is guessed with a chance of 2^-31 before it dies. An address manages some 15 tries in the ten
// minutes that a code has, so to kill one takes thousands of networks. Not kept across restarts of the worker, which no
// stranger can cause.
const defaultWrongTries = 100_000;
const maxNumbered = 99;
const maxNameStem = 61;
const membersSent = 20_000;
const maxWhy = 200;

/** Waiting for its message, being decided, or answered and expected to leave. */
type Stage = 'waiting' | 'deciding' | 'leaving';
type Places = Map<TLSSocket, { readonly network: string; stage: Stage }>;

/** What one worker remembers of those who tried. */
type Desk = {
  readonly directory: string;
  readonly deps: PairingDependencies;
  readonly slow: SlowDown;
  readonly wrongTries: Map<string, number>;
  readonly places: Places;
  /** One after the other, so that no two get one code or one name. */
  turn: Promise<unknown>;
};

export type Pairing = {
  /** Answers one connection and ends it. Never throws. */
  readonly serve: (socket: TLSSocket) => Promise<void>;
  /** Ends those that are being served. */
  readonly close: () => void;
};

function newDesk(directory: string, deps: PairingDependencies): Desk {
  return { directory, deps, slow: slowDown(), wrongTries: new Map(), places: new Map(), turn: Promise.resolve() };
}

/** For requests that another process has read. */
export function openDecisions(
  directory: string,
  deps: PairingDependencies,
): (request: JoinRequest, address: string) => Promise<JoinAnswer> {
  const desk = newDesk(directory, deps);
  return (request, address) => decide(desk, request, address);
}

/** `directory` is the identity directory. */
export function openPairing(directory: string, deps: PairingDependencies): Pairing {
  const desk = newDesk(directory, deps);
  return {
    serve: (socket) => serve(desk, socket),
    close: () => {
      for (const socket of desk.places.keys()) socket.destroy();
    },
  };
}

function refused(reason: Refusal, why: string, retryAfterMs = 0): JoinAnswer {
  return { kind: 'refused', reason, why: why.slice(0, maxWhy), retryAfterMs };
}

async function serve(desk: Desk, socket: TLSSocket): Promise<void> {
  const { deps, places } = desk;
  const address = (socket.remoteAddress ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
  // Whatever happens to the connection is seen where it is read or written; unheard, it would end the process.
  socket.on('error', () => {});
  socket.once('close', () => places.delete(socket));
  try {
    const answer = takePlace(places, socket, address)
      ? await answerTo(desk, socket, address)
      : refused('busy', 'too many from your address are joining: try again in a moment', 1000);
    enter(places, socket, 'leaving');
    if (answer.kind === 'refused') deps.log({ kind: 'refused', reason: answer.reason, why: answer.why, address });
    await send(socket, encodeJoinAnswer(answer), deps.patienceMs ?? patienceMs);
  } catch (error) {
    deps.log({ kind: 'refused', reason: 'failed', why: (error as Error).message, address });
    socket.destroy();
  } finally {
    places.delete(socket);
  }
}

function enter(places: Places, socket: TLSSocket, stage: Stage): void {
  const place = places.get(socket);
  if (place !== undefined) place.stage = stage;
}

function takePlace(places: Places, socket: TLSSocket, address: string): boolean {
  const network = peerNetwork(address);
  const all = [...places];
  const ofOne = all.filter(([, place]) => place.network === network && place.stage !== 'leaving').length;
  if (ofOne >= maxConnectionsOfOne) return false;
  if (places.size >= maxConnections) {
    const first = (stage: Stage) => all.find(([, place]) => place.stage === stage)?.[0];
    const goes = first('leaving') ?? first('waiting');
    if (goes === undefined) return false;
    places.delete(goes);
    goes.destroy();
  }
  places.set(socket, { network, stage: 'waiting' });
  return true;
}

async function answerTo(desk: Desk, socket: TLSSocket, address: string): Promise<JoinAnswer> {
  const bounds = { maxBytes: maxRequestBytes, patienceMs: desk.deps.patienceMs ?? patienceMs };
  const message = await readMessage(socket, bounds);
  enter(desk.places, socket, 'deciding');
  const nowMs = desk.deps.now();
  let request: JoinRequest;
  try {
    request = decodeJoinRequest(message);
  } catch (error) {
    const waitMs = desk.slow.waitMs(address, nowMs);
    if (waitMs > 0) return tooSoon(waitMs);
    return refused('bad-request', (error as Error).message, desk.slow.wrong(address, nowMs));
  }
  return desk.deps.desk?.admit(request, address, desk.deps.addresses()) ?? decide(desk, request, address);
}

function tooSoon(waitMs: number): JoinAnswer {
  return refused('slow-down', 'a wrong code came from your address just now', waitMs);
}

/** Decides on one request after the other. */
async function decide(desk: Desk, request: JoinRequest, address: string): Promise<JoinAnswer> {
  const nowMs = desk.deps.now();
  const waitMs = desk.slow.waitMs(address, nowMs);
  if (waitMs > 0) return tooSoon(waitMs);
  const answer = desk.turn.then(() => admit(desk, request, address, nowMs));
  desk.turn = answer.catch(() => undefined);
  return answer;
}

function send(socket: TLSSocket, bytes: Buffer, forMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), forMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    // Read to its end, or the close of the other side is never seen.
    socket.resume();
    socket.end(bytes);
  });
}

/** A wrong secret counts against every code that waits: which one was meant, nobody knows. */
function wrongCode(desk: Desk, waiting: readonly CodeFile[], address: string, nowMs: number): JoinAnswer {
  const { maxWrongTries = defaultWrongTries } = desk.deps;
  const open = new Map<string, number>();
  for (const code of waiting) {
    const tries = (desk.wrongTries.get(code.id) ?? 0) + 1;
    if (tries < maxWrongTries) open.set(code.id, tries);
    else closeCode(desk.directory, code, 'dead');
  }
  desk.wrongTries.clear();
  for (const [id, tries] of open) desk.wrongTries.set(id, tries);
  const waitMs = desk.slow.wrong(address, nowMs);
  return refused('wrong-code', 'no such code waits here', waitMs);
}

function spentCode(kind: 'expired' | 'used' | 'dead'): JoinAnswer {
  switch (kind) {
    case 'expired':
      return refused('expired-code', 'the code has expired');
    case 'used':
      return refused('used-code', 'the code was used before');
    case 'dead':
      return refused('dead-code', 'the code was withdrawn after too many wrong tries');
  }
}

async function admit(desk: Desk, request: JoinRequest, address: string, nowMs: number): Promise<JoinAnswer> {
  const { directory } = desk;
  const admin = loadIdentity(directory);
  if (admin.kind !== 'identity') return refused('not-admin', 'this box has no identity that it can use');
  const caKey = readCaKey(admin);
  if (typeof caKey === 'string') return refused('not-admin', 'this box is no admin of the farm');
  const found = findCode(directory, request.secret, nowMs);
  if (found.kind === 'wrong') return wrongCode(desk, found.waiting, address, nowMs);
  if (found.kind !== 'pending') return spentCode(found.kind);
  const name = freeName(admin, directory, request, nowMs);
  if (name === undefined) {
    const why = `a member is called ${request.name} already: choose another --name, or revoke that one first`;
    return refused('name-taken', why);
  }
  const { role } = found.code;
  const authority = { caPem: admin.caPem, caKey };
  const { csrPem } = request;
  // Before the code is claimed: a request that cannot be granted leaves it as it is.
  const certificatePem = await issueLeaf({ authority, csrPem, name, role, serial: newSerial(), nowMs });
  if (!closeCode(directory, found.code, 'used')) return spentCode('used');
  const member = memberOf(new X509Certificate(certificatePem));
  const { serial } = member;
  recordMember(directory, member);
  desk.deps.log({ kind: 'admitted', name, role, serial, address, hostname: request.hostname });
  const addresses = addressesIn([...desk.deps.addresses(), ...farmAddresses(directory)]);
  const revocations = encodeRevocations(loadRevocations(admin, nowMs)).toString('latin1');
  const common = { kind: 'welcome', certificatePem, revocations, addresses } as const;
  if (role !== 'admin') return { ...common, members: [] };
  const caKeyPem = caKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { ...common, caKeyPem, members: knownCertificates(directory, nowMs).slice(-membersSent) };
}

/** The name asked for, or, if it was only suggested, with the first number that makes it free. */
function freeName(admin: Identity, directory: string, request: JoinRequest, nowMs: number): string | undefined {
  const revocations = loadRevocations(admin, nowMs);
  const members = membersOf(knownCertificates(directory, nowMs)).filter(
    ({ serial }) => !isRevoked(revocations, serial),
  );
  const taken = new Set(members.map(({ name }) => name.toLowerCase()));
  const isFree = (name: string): boolean => !taken.has(name.toLowerCase());
  if (isFree(request.name) || request.exactName) return isFree(request.name) ? request.name : undefined;
  for (let number = 2; number <= maxNumbered; number += 1) {
    const name = `${request.name.slice(0, maxNameStem)}-${number}`;
    if (isFree(name)) return name;
  }
  return undefined;
}

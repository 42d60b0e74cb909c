// The side of the box that joins. It meets the other end first: whoever answers must present a certificate for an admin,
// signed by the authority whose public key the code pins. Only then is anything sent.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { connectFailure } from '../connect-failure.ts';
import { reachedBy } from './addresses.ts';
import { makeRequest } from './certificates.ts';
import { readMessage } from './framed-socket.ts';
import { commonName, isIssuedBy, publicKeyFingerprint } from './identity.ts';
import { memberOf, serverAuth, type Member } from './member.ts';
import type { MemberRecord } from './member-files.ts';
import { pinBytes, type PairingCode } from './pairing-code.ts';
import { decodeJoinAnswer, encodeJoinRequest, joinProtocol, maxAnswerBytes } from './pairing-messages.ts';
import type { JoinAnswer, Refusal } from './pairing-messages.ts';
import { decodeRevocations, type Revocations } from './revocations.ts';

export type FarmMet = {
  readonly kind: 'met';
  readonly farm: string;
  readonly fingerprint: string;
  readonly caPem: string;
  readonly admin: Member;
};

/** `interfering`: who answers is not of the farm that the code is for. */
export type NotMet = {
  readonly kind: 'not-met';
  readonly reason: 'unreachable' | 'no-farm' | 'interfering' | 'no-admin' | 'dates';
  readonly why: string;
};

export type FarmAddress = { readonly host: string; readonly port: number };
export type JoinBounds = { readonly nowMs: number; readonly patienceMs: number };

const maxChain = 5;

/** The certificates that the other end sent, its own first. */
function chainOf(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: PeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < maxChain) {
    const certificate = new X509Certificate(next.raw);
    if (chain.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256)) break;
    chain.push(certificate);
    next = (next as { issuerCertificate?: PeerCertificate }).issuerCertificate;
  }
  return chain;
}

const notMet = (reason: NotMet['reason'], why: string): NotMet => ({ kind: 'not-met', reason, why });

function isCurrent(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);
}

function mayServe(certificate: X509Certificate): boolean {
  const usage = certificate.keyUsage as readonly string[] | undefined;
  return (usage ?? []).includes(serverAuth);
}

/** Whether a chain of certificates is of an admin of the farm that the pin is of. */
export function checkFarm(chain: readonly X509Certificate[], pin: Uint8Array, nowMs: number): FarmMet | NotMet {
  const [leaf] = chain;
  if (leaf === undefined) return notMet('no-farm', 'it shows no certificate');
  const ca = chain.find((one) => publicKeyFingerprint(one).subarray(0, pinBytes).equals(pin));
  if (ca === undefined) {
    return notMet('interfering', 'it is not of the farm that the code is for');
  }
  // With itself: the key is pinned, what else the certificate says is not.
  if (!ca.ca || !ca.verify(ca.publicKey) || !isIssuedBy(leaf, ca)) {
    return notMet('interfering', "it shows a certificate that the code's farm did not issue");
  }
  if (!isCurrent(ca, nowMs) || !isCurrent(leaf, nowMs)) {
    const span = `valid from ${leaf.validFrom} to ${leaf.validTo}`;
    return notMet('dates', `its certificate is ${span}, and here it is ${new Date(nowMs).toUTCString()}`);
  }
  const admin = memberOf(leaf);
  if (admin.role !== 'admin' || !mayServe(leaf)) {
    return notMet('no-admin', `${admin.name} is a ${admin.role} of the farm, not an admin`);
  }
  const fingerprint = publicKeyFingerprint(ca).toString('hex');
  return { kind: 'met', farm: commonName(ca), fingerprint, caPem: ca.toString(), admin };
}

function metBy(socket: TLSSocket, pin: Uint8Array, nowMs: number): FarmMet | NotMet {
  try {
    return checkFarm(chainOf(socket), pin, nowMs);
  } catch (error) {
    return notMet('interfering', `it shows certificates that cannot be read (${(error as Error).message})`);
  }
}

type Connected = { readonly kind: 'connected'; readonly socket: TLSSocket; readonly met: FarmMet };

/** TLS errors that come from something that is no TLS server, or knows no such protocol. */
const isProtocolError = (code: string): boolean => code.startsWith('ERR_SSL') || code === 'EPROTO';

function connectTo(address: FarmAddress, pin: Uint8Array, bounds: JoinBounds): Promise<Connected | NotMet> {
  const { host, port } = address;
  const place = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: [joinProtocol],
      minVersion: 'TLSv1.3',
      // The authority is pinned, not known: checkFarm decides.
      rejectUnauthorized: false,
    });
    const give = (result: NotMet): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const unreachable = `nothing answers at ${place} within ${bounds.patienceMs / 1000} s`;
    const timer = setTimeout(() => give(notMet('unreachable', unreachable)), bounds.patienceMs);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const isProtocol = isProtocolError(error.code ?? '') || error.code === 'ECONNRESET';
      const why = isProtocol ? `no admin of a farm answers at ${place}` : `cannot reach ${place}`;
      give(notMet(isProtocol ? 'no-farm' : 'unreachable', `${why} (${connectFailure(error)})`));
    });
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== joinProtocol) {
        give(notMet('no-farm', `who answers at ${place} admits nobody: it is no admin's box`));
        return;
      }
      const met = metBy(socket, pin, bounds.nowMs);
      if (met.kind === 'not-met') return give({ ...met, why: `${place}: ${met.why}` });
      clearTimeout(timer);
      resolve({ kind: 'connected', socket, met });
    });
  });
}

/** Meets the farm and sends nothing: for a person to see who it is. */
export async function meetFarm(address: FarmAddress, code: PairingCode, bounds: JoinBounds): Promise<FarmMet | NotMet> {
  const connected = await connectTo(address, code.pin, bounds);
  if (connected.kind === 'not-met') return connected;
  connected.socket.destroy();
  return connected.met;
}

export type Joined = {
  readonly kind: 'joined';
  readonly member: Member;
  readonly farm: FarmMet;
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly caKeyPem: string | undefined;
  readonly revocations: Revocations;
  readonly addresses: readonly string[];
  /** The address behind the name, if it was one. */
  readonly reached: string | undefined;
  readonly members: readonly MemberRecord[];
};

export type NotJoined =
  | NotMet
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly why: string; readonly retryAfterMs: number }
  /** The secret was sent, and no good answer came: the code may be used up. */
  | { readonly kind: 'broken'; readonly why: string };

export type JoinWish = {
  readonly address: FarmAddress;
  readonly code: PairingCode;
  readonly name: string;
  readonly exactName: boolean;
  readonly hostname: string;
};

/** What is wrong with a welcome: it must be for our key, name and role, by the farm that was met. */
function faultOf(answer: Extract<JoinAnswer, { kind: 'welcome' }>, wish: JoinWish, keyPem: string, met: FarmMet) {
  const ca = new X509Certificate(met.caPem);
  const certificate = new X509Certificate(answer.certificatePem);
  const { role, name } = memberOf(certificate);
  if (!isIssuedBy(certificate, ca)) return "its certificate is not the farm's";
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return 'its certificate is for another key';
  if (role !== wish.code.role) return `its certificate is for the role ${role}, the code for ${wish.code.role}`;
  if (wish.exactName && name !== wish.name) return `its certificate is for ${name}`;
  if (role !== 'admin') return undefined;
  if (answer.caKeyPem === undefined) return "it lacks the authority's key";
  return ca.checkPrivateKey(createPrivateKey(answer.caKeyPem)) ? undefined : "it has another authority's key";
}

export async function joinFarm(wish: JoinWish, bounds: JoinBounds): Promise<Joined | NotJoined> {
  const { keyPem, csrPem } = await makeRequest(wish.name);
  const connected = await connectTo(wish.address, wish.code.pin, bounds);
  if (connected.kind === 'not-met') return connected;
  const { socket, met } = connected;
  try {
    const { name, exactName, hostname } = wish;
    socket.write(encodeJoinRequest({ secret: wish.code.secret, name, exactName, csrPem, hostname }));
    const answer = decodeJoinAnswer(
      await readMessage(socket, { maxBytes: maxAnswerBytes, patienceMs: bounds.patienceMs }),
    );
    if (answer.kind === 'refused') return answer;
    const fault = faultOf(answer, wish, keyPem, met);
    if (fault !== undefined) return { kind: 'broken', why: `the answer cannot be used: ${fault}` };
    const { certificatePem, caKeyPem, addresses, members } = answer;
    const reached = reachedBy(socket);
    return {
      kind: 'joined',
      member: memberOf(new X509Certificate(certificatePem)),
      farm: met,
      keyPem,
      certificatePem,
      caKeyPem,
      revocations: decodeRevocations(Buffer.from(answer.revocations, 'latin1'), met.caPem),
      addresses,
      reached,
      members,
    };
  } catch (error) {
    return { kind: 'broken', why: (error as Error).message };
  } finally {
    socket.destroy();
  }
}

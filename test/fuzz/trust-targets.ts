// What reaches a box before it is known who sends it, or from other members: pairing, revocations, certificates, mDNS.
import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Service } from 'bonjour-service';
import { workerIn } from '../../src/farm/discovery.ts';
import { search, sheltered, type Bonjour } from '../../src/farm/mdns.ts';
import { CertificateError, makeAuthority, makeRequest, requestSubject } from '../../src/trust/certificates.ts';
import { isMemberName } from '../../src/trust/member.ts';
import { decodePairingCode, encodePairingCode } from '../../src/trust/pairing-code.ts';
import {
  decodeJoinAnswer,
  decodeJoinRequest,
  encodeJoinAnswer,
  encodeJoinRequest,
  PairingMessageError,
} from '../../src/trust/pairing-messages.ts';
import {
  decodeRevocations,
  encodeRevocations,
  noRevocations,
  RevocationsError,
  signRevocations,
} from '../../src/trust/revocations.ts';
import { plain, tolerating, type Target, type TargetTable } from './target.ts';

const csrPem = '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n';

async function revocations(): Promise<Target> {
  const { caPem, caKey } = await makeAuthority('farm', '40', Date.now());
  const entry = { member: '4'.padEnd(16, 'A'), revokedAt: 1, name: 'anna' };
  const nowMs = Date.now();
  const seed = encodeRevocations(signRevocations({ known: noRevocations, added: [entry], caPem, caKey, nowMs }));
  const run = (input: Buffer): void => {
    tolerating([RevocationsError], () => decodeRevocations(input, caPem));
    // As if the authority had signed whatever stands before the signature: the parser behind it.
    const signed = input.toString('latin1').split('\nsignature ')[0] ?? '';
    const list = Buffer.from(`${signed}\n`, 'latin1');
    const signature = sign('sha256', list, createPrivateKey(caKey.export({ type: 'pkcs8', format: 'pem' })));
    const whole = Buffer.concat([list, Buffer.from(`signature ${signature.toString('base64')}\n`)]);
    tolerating([RevocationsError], () => {
      for (const { name } of decodeRevocations(whole, caPem).members.values()) assert.ok(isMemberName(name));
    });
  };
  return { name: 'revocations', seeds: [seed], run };
}

/** A network from which packets come, without one. */
class Ether extends EventEmitter {
  readonly bind = (): void => void this.emit('listening');
  readonly send = (...args: readonly unknown[]): void => {
    const callback = args.at(-1);
    if (typeof callback === 'function') (callback as () => void)();
  };
  readonly address = (): object => ({ address: '0.0.0.0', port: 5353 });
  readonly close = (): void => void this.emit('close');
  readonly [name: string]: unknown;
}

function nameOf(...labels: readonly string[]): Buffer {
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]),
    Buffer.from([0]),
  ]);
}

function dnsRecord(name: Buffer, type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(120, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, head, data]);
}

/** A worker that tells of itself: PTR, SRV, TXT and A. */
function workerAnnounced(): Buffer {
  const service = nameOf('_shoal', '_tcp', 'local');
  const instance = nameOf('box', '_shoal', '_tcp', 'local');
  const host = nameOf('box', 'local');
  const farm = `farm=${'ab'.repeat(32)}`;
  return Buffer.concat([
    Buffer.from([0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
    dnsRecord(service, 12, instance),
    dnsRecord(instance, 33, Buffer.concat([Buffer.from([0, 0, 0, 0, 0x21, 0x1b]), host])),
    dnsRecord(instance, 16, Buffer.concat([Buffer.from([farm.length]), Buffer.from(farm)])),
    dnsRecord(host, 1, Buffer.from([10, 0, 0, 1])),
  ]);
}

async function mdns(): Promise<Target> {
  const { default: BonjourService } = await import('bonjour-service');
  const socket = new Ether();
  for (const name of [
    'setMulticastTTL',
    'setMulticastLoopback',
    'addMembership',
    'setMulticastInterface',
    'dropMembership',
  ]) {
    Object.defineProperty(socket, name, { value: () => undefined });
  }
  let found = 0;
  const listen = (): Bonjour => {
    const bonjour = sheltered(new BonjourService({ socket, bind: false } as object, () => undefined));
    const take = (service: Service): void => {
      const worker = workerIn(service);
      found += 1;
      if (worker !== undefined) assert.match(worker.fingerprint, /^[0-9a-f]{64}$/);
    };
    search({ bonjours: [bonjour], type: 'shoal', take, flooded: () => (isFlooded = true) });
    return bonjour;
  };
  let isFlooded = false;
  let bonjour = listen();
  const run = (input: Buffer): void => {
    // As the next search does.
    if (isFlooded) {
      bonjour.destroy();
      bonjour = listen();
      isFlooded = false;
    }
    socket.emit('message', input, { address: '10.0.0.1', port: 5353, family: 'IPv4', size: input.length });
  };
  run(workerAnnounced());
  assert.equal(found, 1);
  const close = async (): Promise<void> => Promise.resolve(bonjour.destroy());
  return { name: 'mdns', seeds: [workerAnnounced()], run, close };
}

export const trustTargets: TargetTable = {
  'join-request': plain(
    'join-request',
    [encodeJoinRequest({ secret: Buffer.alloc(6, 7), name: 'anna', exactName: true, csrPem, hostname: 'box' })],
    (input) => {
      tolerating([PairingMessageError], () => {
        const { name, secret, hostname } = decodeJoinRequest(input);
        assert.ok(isMemberName(name) && secret.length === 6 && /^[\x20-\x7e]*$/.test(hostname));
      });
    },
  ),
  'join-answer': plain(
    'join-answer',
    [
      encodeJoinAnswer({ kind: 'refused', reason: 'busy', why: 'later', retryAfterMs: 5 }),
      encodeJoinAnswer({
        kind: 'welcome',
        certificatePem: 'c',
        revocations: '',
        addresses: ['10.0.0.1:8475'],
        members: [],
      }),
    ],
    (input) => {
      tolerating([PairingMessageError], () => {
        const answer = decodeJoinAnswer(input);
        if (answer.kind === 'refused') assert.ok(answer.retryAfterMs <= 600_000 && /^[\x20-\x7e]*$/.test(answer.why));
      });
    },
  ),
  'pairing-code': plain(
    'pairing-code',
    [encodePairingCode({ pin: Buffer.alloc(10, 1), role: 'client', secret: Buffer.alloc(6, 2) })],
    (input) => {
      decodePairingCode(input.toString('utf8'));
    },
  ),
  'certificate-request': async () => ({
    name: 'certificate-request',
    seeds: [Buffer.from(/\n([^-]+)-/.exec((await makeRequest('anna', 'client')).csrPem)?.[1] ?? '', 'base64')],
    run: async (input) => {
      const body = `-----BEGIN CERTIFICATE REQUEST-----\n${input.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
      for (const pem of [input.toString('latin1'), body]) {
        await requestSubject(pem).catch((error: unknown) =>
          assert.ok(error instanceof CertificateError, String(error)),
        );
      }
    },
  }),
  revocations,
  mdns,
};

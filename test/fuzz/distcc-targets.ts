// What distcc's clients and servers say to each other: either may be anybody.
import assert from 'node:assert/strict';
import { decodeState, encodeState } from '../../src/distcc/binstate.ts';
import { readCommand } from '../../src/distcc/compile-command.ts';
import { DistccError } from '../../src/distcc/errors.ts';
import { distccWordOf, parseDistccWord, readDistccWords } from '../../src/distcc/host-words.ts';
import { compressLzo } from '../../src/distcc/lzo-compress.ts';
import { decompressLzo } from '../../src/distcc/lzo-decompress.ts';
import { newReader, type Parsing } from '../../src/distcc/reader.ts';
import { encodeRequest, parseRequest, type Request } from '../../src/distcc/request.ts';
import { encodeResponse, parseResponse, type Response } from '../../src/distcc/response.ts';
import { sentTree } from '../../src/distcc/sent-tree.ts';
import { explainHosts } from '../../src/farm/explain-hosts.ts';
import { decodeGssFrame, encodeGssFrame, GssError, gssFrameBytes, gssHeadBytes } from '../../src/trust/gssapi-wire.ts';
import { plain, tolerating, type TargetTable } from './target.ts';

// Little, so that what an input asks for beyond it is refused within a run.
const bodyBytes = 1 << 20;

const argv = ['gcc', '-O2', '-MD', '-MF', 'x.d', '-c', 'x.c', '-o', 'x.o'];
const source = Buffer.from(`# 1 "x.c"\n${'int answer(void);\n'.repeat(40)}int answer(void) { return 42; }\n`);
const requests: readonly Request[] = [
  { version: 1, argv, source },
  { version: 2, argv, source },
  {
    version: 3,
    argv,
    cwd: '/home/user/project',
    files: [
      { kind: 'file', path: '/home/user/project/x.c', content: source },
      { kind: 'link', path: '/home/user/project/inc', target: '../other/inc' },
      { kind: 'file', path: '/home/user/other/inc/x.h', content: Buffer.from('int x;\n') },
    ],
  },
];
const output = Buffer.concat([Buffer.from('\x7fELF'), Buffer.alloc(400), source]);
const answered = { stderr: Buffer.from('x.c:1: warning\n'), stdout: Buffer.alloc(0), output };
const responses: readonly Response[] = [
  { version: 1, waitStatus: 0, ...answered, dependencies: Buffer.alloc(0) },
  { version: 2, waitStatus: 0x0100, ...answered, output: Buffer.alloc(0), dependencies: Buffer.alloc(0) },
  { version: 3, waitStatus: 0, ...answered, dependencies: Buffer.from('x.o: x.c\n') },
];

/** What comes of the bytes in one piece; in pieces it must be the same. */
function parsed<T>(parsing: () => Parsing<T>, input: Buffer): T | undefined {
  const outcome = (pieceBytes: number): { readonly value?: T | undefined; readonly code?: string } => {
    const reader = newReader(parsing());
    try {
      let value: T | undefined;
      for (let at = 0; at < input.length; at += pieceBytes) value = reader.feed(input.subarray(at, at + pieceBytes));
      return { value };
    } catch (error) {
      assert.ok(error instanceof DistccError, String(error));
      return { code: error.code };
    }
  };
  const whole = outcome(Math.max(1, input.length));
  // What follows the end is an error at once in one piece, and in pieces only at the next.
  if (whole.value !== undefined || whole.code === undefined) assert.deepEqual(outcome(7), whole);
  return whole.value;
}

function checkPlaces(request: Request): void {
  tolerating([DistccError], () => readCommand(request.argv));
  if (request.version !== 3) return;
  tolerating([DistccError], () => {
    const { files, links } = sentTree(request.files);
    for (const path of [...files.keys(), ...links.keys()]) {
      assert.ok(!path.startsWith('/') && !path.split('/').some((part) => ['', '.', '..'].includes(part)), path);
      assert.ok(!path.includes('\0'));
    }
  });
}

export const distccTargets: TargetTable = {
  'distcc-request': plain(
    'distcc-request',
    requests.map((request) => Buffer.concat(encodeRequest(request))),
    (input) => {
      const request = parsed(() => parseRequest({ leftBytes: bodyBytes }), input);
      if (request !== undefined) checkPlaces(request);
    },
  ),
  'distcc-response': plain(
    'distcc-response',
    responses.map((response) => Buffer.concat(encodeResponse(response))),
    (input) => {
      for (const version of [1, 2, 3] as const) {
        const response = parsed(() => parseResponse(version, { leftBytes: bodyBytes }), input);
        if (response === undefined) continue;
        const { stderr, stdout, output, dependencies } = response;
        assert.ok(stderr.length + stdout.length + output.length + dependencies.length <= bodyBytes);
      }
    },
  ),
  lzo: plain('lzo', [source, output, Buffer.alloc(5000, 'ab')].map(compressLzo), (input) => {
    tolerating([DistccError], () => assert.ok(decompressLzo(input, bodyBytes).length <= bodyBytes));
    assert.deepEqual(decompressLzo(compressLzo(input), input.length), input);
  }),
  'gss-frame': plain(
    'gss-frame',
    [
      encodeGssFrame({ kind: 'name', name: 'host@box.example' }),
      encodeGssFrame({ kind: 'token', token: output }),
      Buffer.concat([Buffer.from([36, 0, 0, 0]), Buffer.from('D\x02\0\0\0tkalice@EXAMPLE\0host/box@EXAMPLE')]),
      Buffer.from('\x05\0\0\0Enone'),
    ],
    (input) => {
      if (input.length < gssHeadBytes) return;
      tolerating([GssError], () => {
        const body = input.subarray(gssHeadBytes);
        const frame = decodeGssFrame(body.subarray(0, gssFrameBytes(input)));
        if (frame.kind === 'done') assert.ok(frame.token.length <= body.length);
      });
    },
  ),
  'distcc-hosts': plain('distcc-hosts', ['--randomize a/3:33,lzo,cpp u@[::1]/2:c,auth=x localhost # b'], (input) => {
    const text = input.toString('utf8');
    for (const { meaning } of readDistccWords(text)) {
      if (meaning.kind === 'host') assert.equal(parseDistccWord(distccWordOf(meaning.host)).meaning.kind, 'host');
    }
    explainHosts(text);
  }),
  'distcc-state': plain(
    'distcc-state',
    [encodeState({ pid: 1, file: 'x.c', host: 'a', slot: 0, phase: 'Send' })],
    (input) => {
      decodeState(input);
    },
  ),
};

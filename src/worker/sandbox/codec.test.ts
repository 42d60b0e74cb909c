import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { encodeJob, newFrameReader, SandboxProtocolError, type Frame, type SandboxJob } from './codec.ts';

type Record = { readonly tag: string; readonly bytes: Buffer };

function frame(tag: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(5);
  head.write(tag, 'latin1');
  head.writeUInt32LE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** Reads a job as the init does, but for the checks. */
function recordsOf(job: Buffer): readonly Record[] {
  assert.equal(job.readUInt32LE(0), job.length - 4);
  const records: Record[] = [];
  for (let at = 4; at < job.length;) {
    const end = at + 5 + job.readUInt32LE(at + 1);
    assert.ok(end <= job.length);
    records.push({ tag: job.toString('latin1', at, at + 1), bytes: job.subarray(at + 5, end) });
    at = end;
  }
  return records;
}

function texts(records: readonly Record[], tag: string): readonly string[] {
  const found = records.filter((record) => record.tag === tag);
  return found.map(({ bytes }) => {
    assert.equal(bytes.at(-1), 0);
    return bytes.toString('utf8', 0, bytes.length - 1);
  });
}

function pairOf({ bytes }: Record): { readonly path: string; readonly target: string } {
  const [path = '', target = '', ...rest] = bytes.toString().split('\0');
  assert.deepEqual(rest, ['']);
  return { path, target };
}

function additionOf({ bytes }: Record): SandboxJob['additions'][number] {
  const end = bytes.indexOf(0, 10);
  const time = bytes[1] === 1 ? { mtimeNs: bytes.readBigInt64LE(2) } : {};
  return {
    path: bytes.toString('utf8', 10, end),
    content: bytes.subarray(end + 1),
    executable: bytes[0] === 1,
    ...time,
  };
}

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
const list = fc.array(text, { maxLength: 5 });
const count = fc.nat(2 ** 31);
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value));

const anyJob: fc.Arbitrary<SandboxJob> = fc.record({
  root: fc.oneof(
    fc.record({ kind: fc.constant('exact' as const), lowerDirs: list, hostDirs: fc.constant(['usr/include']) }),
    fc.record({
      kind: fc.constant('within' as const),
      lowerDirs: list,
      mountAt: fc.constantFrom('/build', 'build', '/a/b'),
      hostDirs: fc.constant(['/usr', 'bin']),
    }),
  ),
  additions: fc.array(
    fc.record(
      {
        path: text,
        content: bytes,
        executable: fc.boolean(),
        mtimeNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
      },
      { requiredKeys: ['path', 'content', 'executable'], noNullPrototype: true },
    ),
    { maxLength: 4 },
  ),
  symlinks: fc.array(fc.record({ path: text, target: text }, { noNullPrototype: true }), { maxLength: 4 }),
  directories: list,
  deletions: list,
  whole: fc.array(fc.record({ path: text, lowerDir: text }, { noNullPrototype: true }), { maxLength: 4 }),
  argv: list,
  env: list,
  cwd: text,
  outputs: list,
  limits: fc.record({
    wallMs: count,
    cpuSeconds: count,
    memoryBytes: count,
    processes: count,
    outputBytes: count,
    diskBytes: count,
  }),
});

test('a job says on the wire what it says', () => {
  fc.assert(
    fc.property(anyJob, (job) => {
      const records = recordsOf(encodeJob(job));
      const tagged = (tag: string): readonly Record[] => records.filter((record) => record.tag === tag);
      for (const [tag, values] of [
        ['L', job.root.lowerDirs],
        ['D', job.directories],
        ['W', job.deletions],
        ['a', job.argv],
        ['e', job.env],
        ['c', [job.cwd]],
        ['o', job.outputs],
      ] as const) {
        assert.deepEqual(texts(records, tag), values);
      }
      assert.deepEqual(tagged('S').map(pairOf), job.symlinks);
      const whole = tagged('B').map((record) => pairOf(record));
      assert.deepEqual(
        whole.map(({ path, target }) => ({ path, lowerDir: target })),
        job.whole,
      );
      assert.deepEqual(tagged('A').map(additionOf), job.additions);
      const limits = tagged('l')[0]?.bytes ?? Buffer.alloc(0);
      const { wallMs, cpuSeconds, memoryBytes, processes, outputBytes, diskBytes } = job.limits;
      assert.deepEqual(
        [0, 8, 16, 24, 32, 40].map((at) => Number(limits.readBigUInt64LE(at))),
        [wallMs, cpuSeconds, memoryBytes, processes, outputBytes, diskBytes],
      );
      if (job.root.kind === 'within') {
        assert.equal(`/${texts(records, 'M')[0] ?? ''}`, job.root.mountAt.replace(/^(?!\/)/, '/'));
        assert.deepEqual(texts(records, 'H'), ['usr', 'bin']);
      } else assert.deepEqual(texts(records, 'H'), ['usr/include']);
    }),
  );
});

test('a text with a NUL is refused, for what follows it would be lost', () => {
  const [job] = fc.sample(anyJob, 1);
  assert.ok(job);
  assert.throws(() => encodeJob({ ...job, argv: ['gcc', 'a\0b'] }), SandboxProtocolError);
  assert.throws(() => encodeJob({ ...job, symlinks: [{ path: 'a', target: 'b\0' }] }), SandboxProtocolError);
});

function endFrame(waitStatus: number): Buffer {
  const end = Buffer.alloc(36);
  end.writeInt32LE(waitStatus, 0);
  [7n, 8n, 9n, 10n].forEach((value, index) => end.writeBigUInt64LE(value, 4 + 8 * index));
  return frame('X', end);
}

const answer = Buffer.concat([
  frame('Y'),
  frame('1', 'out'),
  frame('2', ''),
  frame('T', 'deadline'),
  frame('O', Buffer.from([1]), 'a/x\0', Buffer.alloc(5000, 3)),
  frame('O', Buffer.from([2]), 'l\0', 'target'),
  frame('O', Buffer.from([3]), 'd\0'),
  frame('F', 'why'),
  endFrame(0x100),
]);

const said: readonly Frame[] = [
  { tag: 'ready' },
  { tag: 'stdout', bytes: Buffer.from('out') },
  { tag: 'stderr', bytes: Buffer.alloc(0) },
  { tag: 'trouble', what: 'deadline' },
  { tag: 'output', output: { path: 'a/x', kind: 'file', content: Buffer.alloc(5000, 3), executable: true } },
  { tag: 'output', output: { path: 'l', kind: 'symlink', target: 'target' } },
  { tag: 'output', output: { path: 'd', kind: 'directory' } },
  { tag: 'failed', why: 'why' },
  { tag: 'end', waitStatus: 0x100, usage: { userUs: 7, systemUs: 8, maxRssKb: 9, wallUs: 10 } },
];

test('an answer reads the same in whatever pieces it comes', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(answer.length), { maxLength: 30 }), (cuts) => {
      const read = newFrameReader();
      const places = [0, ...cuts.toSorted((a, b) => a - b), answer.length];
      const frames = places.flatMap((at, index) => read(answer.subarray(at, places[index + 1] ?? at)));
      assert.deepEqual(frames, said);
    }),
  );
});

test('an answer that is none is refused, whatever it is', () => {
  for (const wrong of [frame('Z'), frame('X', 'short'), frame('T', 'toothache'), frame('O', 'no path')])
    assert.throws(() => newFrameReader()(wrong), SandboxProtocolError);
  assert.throws(() => newFrameReader()(Buffer.from([0x31, 0xff, 0xff, 0xff, 0xff])), SandboxProtocolError);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
      try {
        newFrameReader()(Buffer.from(garbage));
      } catch (error) {
        assert.ok(error instanceof SandboxProtocolError);
      }
    }),
  );
});

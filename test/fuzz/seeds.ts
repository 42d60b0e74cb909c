// What decoders get on an ordinary day.
import { completedFrames, encodeRunHere, encodeRunInSlot, heartbeat } from '../../src/client/launcher-wire.ts';
import { encodeJob, type SandboxJob } from '../../src/worker/sandbox/codec.ts';

function record(tag: string, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(5);
  head.write(tag, 0, 'latin1');
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** A launcher's request, as request.c sends it. */
export const launcherRequest = Buffer.concat([
  record('x', '/usr/bin/gcc'),
  ...['gcc', '-c', 'a.c', '-o', 'a.o'].map((word) => record('a', word)),
  ...['PATH=/usr/bin:/bin', 'LANG=C'].map((entry) => record('e', entry)),
  record('w', '/home/user/project'),
  record('u', Buffer.from([18, 0, 0, 0])),
  record('t', Buffer.from([3, 80, 0, 24, 0])),
  record('r', Buffer.alloc(16, 1)),
  record('c', Buffer.alloc(16, 2)),
  record('m', Buffer.alloc(16, 3)),
  record('p', Buffer.from([1, 0, 0, 0])),
]);

export const daemonAnswers: readonly Buffer[] = [
  Buffer.concat([
    heartbeat,
    ...completedFrames({
      outputs: [
        { path: '/tmp/a.o', how: 'replace', content: Buffer.from('object') },
        { path: '/tmp/a.d', how: 'in-place', content: Buffer.from('a.o: a.c\n') },
        { path: '/tmp/a.s', how: 'remove', content: Buffer.alloc(0) },
      ],
      stdout: Buffer.from('out'),
      stderr: Buffer.from('err'),
      waitStatus: 256,
    }),
  ]),
  encodeRunHere('not-a-compiler'),
  encodeRunInSlot('sooner-here', 1000),
];

const job: SandboxJob = {
  root: { kind: 'within', lowerDirs: ['trees/1', 'toolchain'], mountAt: '/w', hostDirs: ['/usr', '/lib'] },
  additions: [
    { path: 'src/a.c', content: Buffer.from('int a;'), executable: false },
    { path: 'run', content: Buffer.from('#!'), executable: true, mtimeNs: 1n },
  ],
  symlinks: [{ path: 'b', target: '../a' }],
  directories: ['out'],
  deletions: ['old'],
  argv: ['gcc', '-c', 'a.c'],
  program: '/usr/bin/gcc',
  env: ['PATH=/usr/bin'],
  cwd: '/w',
  outputs: ['a.o'],
  limits: { wallMs: 1000, cpuSeconds: 1, memoryBytes: 0, processes: 10, outputBytes: 1 << 20, diskBytes: 1 << 20 },
};

/** Without the length before it. */
export const sandboxJobs: readonly Buffer[] = [
  encodeJob(job).subarray(4),
  encodeJob({ ...job, root: { kind: 'exact', lowerDirs: ['trees/1'] } }).subarray(4),
];

/** What the sandbox's init answers. */
export const sandboxFrames = Buffer.concat([
  record('Y', ''),
  record('1', 'out'),
  record('2', 'err'),
  record('O', Buffer.concat([Buffer.from([0]), Buffer.from('a.o\0object')])),
  record('O', Buffer.concat([Buffer.from([2]), Buffer.from('link\0target')])),
  record('T', 'disk-full\0'),
  record('X', Buffer.alloc(36)),
]);

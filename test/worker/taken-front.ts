// A front that somebody has taken over, in a front's confinement: does all it can, writes what came of it into a place of
// its own, and then serves like any other, so that the test sees whether the worker still does.
//
//   node taken-front.js TARGETS-JSON SETTINGS-JSON
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { main } from '../../src/cli/main.ts';
import { digestOf } from '../../src/reapi/digest.ts';
import { writeWhole, type StoreFile } from '../../src/store/store-writer.ts';
import { keeperFd } from '../../src/worker/keeper/front-process.ts';
import { connectKeeper } from '../../src/worker/keeper/remote-writer.ts';

export type Targets = {
  readonly stateDir: string;
  /** A finished blob. */
  readonly blob: string;
  readonly keeperPid: number;
  readonly tracer: string;
  /** Another directory of the keeper's user. */
  readonly outside: string;
  readonly report: string;
};

/** By what was tried: the error's code, or `done`. */
export type Report = Readonly<Record<string, string>>;

const [targetsText = '', settingsText = ''] = process.argv.slice(2);
const { stateDir, blob, keeperPid, tracer, outside, report } = JSON.parse(targetsText) as Targets;
const store = join(stateDir, 'store');
const identity = join(stateDir, 'identity');
const own = join(stateDir, 'trees');
const proc = `/proc/${keeperPid}`;

function mine(): string {
  const path = join(own, 'mine');
  writeFileSync(path, 'other bytes');
  return path;
}

function throughOpenFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    writeFileSync(`/proc/self/fd/${fd}`, 'other bytes');
  } finally {
    closeSync(fd);
  }
}

function throughLink(): void {
  const link = join(own, 'link');
  linkSync(blob, link);
  chmodSync(link, 0o666);
  writeFileSync(link, 'other bytes');
}

function afterChmod(): void {
  try {
    chmodSync(blob, 0o666);
  } catch {
    // Another user's.
  }
  writeFileSync(blob, 'other bytes');
}

const files: readonly StoreFile[] = ['pack', 'results', 'order', 'holders'];

const attempts: Readonly<Record<string, () => void>> = {
  'write a finished blob': () => writeFileSync(blob, 'other bytes'),
  'write it after a change of mode': afterChmod,
  'append to a finished blob': () => appendFileSync(blob, 'x'),
  'truncate a finished blob': () => truncateSync(blob, 0),
  'rename over a finished blob': () => renameSync(mine(), blob),
  'link beside a finished blob': () => linkSync(mine(), `${blob}9`),
  'link a finished blob to where it may be written': throughLink,
  'open a finished blob again for writing': () => throughOpenFile(blob),
  'remove a finished blob': () => unlinkSync(blob),
  'move a finished blob away': () => renameSync(blob, join(own, 'moved')),
  'make a blob': () => writeFileSync(join(dirname(blob), `${'0'.repeat(64)}-1`), 'b'),
  'make a directory of blobs': () => mkdirSync(join(store, 'blobs/zz')),
  'put a symbolic link into the store': () => symlinkSync('/etc', join(store, 'blobs/zz')),
  'remove the directory of blobs': () => rmSync(dirname(blob), { recursive: true }),
  'write where the keeper makes blobs': () => writeFileSync(join(store, 'incoming/x'), 'x'),
  ...Object.fromEntries(files.map((name) => [`write ${name}`, () => writeFileSync(join(store, name), 'x')])),
  ...Object.fromEntries(files.map((name) => [`replace ${name}`, () => renameSync(mine(), join(store, name))])),
  'read the authority’s key': () => void readFileSync(join(identity, 'ca.key')),
  'write the authority’s key': () => writeFileSync(join(identity, 'ca.key'), 'x'),
  'replace the authority’s key': () => renameSync(mine(), join(identity, 'ca.key')),
  'link the authority’s key': () => linkSync(join(identity, 'ca.key'), join(own, 'key')),
  'list the identity': () => void readdirSync(identity),
  'write into the identity': () => writeFileSync(join(identity, 'new'), 'x'),
  'move the identity': () => renameSync(identity, join(own, 'identity')),
  'read the key through the keeper’s root': () => void readFileSync(`${proc}/root${identity}/ca.key`),
  'read the keeper’s memory': () => void readFileSync(`${proc}/mem`),
  'read the keeper’s environment': () => void readFileSync(`${proc}/environ`),
  'open what the keeper has open': () => void openSync(`${proc}/fd/0`, 'r'),
  'kill the keeper': () => void process.kill(keeperPid, 'SIGKILL'),
  'stop the keeper': () => void process.kill(keeperPid, 'SIGSTOP'),
  'write beside its places': () => writeFileSync(join(stateDir, 'x'), 'x'),
  'write into its working directory': () => writeFileSync('x', 'x'),
  'write elsewhere as its user': () => writeFileSync(join(outside, 'x'), 'x'),
  'move the state directory': () => renameSync(stateDir, `${stateDir}-moved`),
  'write into /tmp': () => writeFileSync('/tmp/shoal-taken-front', 'x'),
  'mount over the store': () =>
    void execFileSync('unshare', ['-Urm', 'mount', '--bind', own, store], { stdio: 'pipe' }),
};

function codeOf(attempt: () => void): string {
  try {
    attempt();
    return 'done';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  }
}

const results: Record<string, string> = {};
for (const [name, attempt] of Object.entries(attempts)) results[name] = codeOf(attempt);
results['trace the keeper'] = execFileSync(tracer, [String(keeperPid)], { encoding: 'utf8' }).trim();

const { writer } = connectKeeper(keeperFd, (why) => {
  throw new Error(why);
});
const digest = digestOf(Buffer.from('what the digest says'));
const wrong = Buffer.from('WHAT the digest says');
results['have the keeper finish other bytes'] = codeOf(() => writeWhole(writer, { kind: 'blob', digest }, wrong));

rmSync(join(own, 'mine'), { force: true });
writeFileSync(report, JSON.stringify(results));
await main(['front', settingsText]);

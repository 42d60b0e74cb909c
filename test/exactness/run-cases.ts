// A program for the tests: runs cases, a few at a time, each in a fresh directory at a path of its own that is the same
// in every run, and writes down what each said and left. It runs by itself, inside `shoal run`, and with a peer's compiler
// names in front of PATH; the cases cannot tell.
//
//   run-cases CASES ANSWER DIRECTORY WIDTH [sessions]
//
// With `sessions` each case is a build of its own to the running daemon, which then says how its compiles ended.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ask } from '../../src/client/builds/attach.ts';
import { newSessionId, sessionVariable } from '../../src/client/session/session.ts';
import { settingsFrom } from '../../src/client/session/settings.ts';
import type { Summary } from '../../src/observe/tally.ts';
import type { Entry, FamilyCase, FileContent, Outcome } from './case.ts';

// No case takes a second; one that hangs shall not take the others with it.
const limitMs = 20_000;
const mostInline = 1 << 16;

function layOut(directory: string, files: FamilyCase['files']): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    if (name.endsWith('/')) mkdirSync(path, { recursive: true });
    else write(path, content);
  }
}

function write(path: string, content: FileContent): void {
  mkdirSync(dirname(path), { recursive: true });
  if (typeof content === 'string') writeFileSync(path, content);
  else if ('link' in content) symlinkSync(content.link, path);
  else writeFileSync(path, content.latin1, 'latin1');
}

function contentOf(bytes: Buffer): string {
  if (bytes.length <= mostInline) return bytes.toString('latin1');
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

function entryOf(path: string): Entry {
  const stat = lstatSync(path);
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.isSymbolicLink()) return { type: 'link', mode: '', content: readlinkSync(path) };
  if (stat.isDirectory()) return { type: 'directory', mode, content: '' };
  if (stat.isFile()) return { type: 'file', mode, content: contentOf(readFileSync(path)) };
  return { type: 'special', mode, content: '' };
}

function snapshot(directory: string): Record<string, Entry> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted();
  return Object.fromEntries(names.map((name) => [name, entryOf(join(directory, name))] as const));
}

function execute(one: FamilyCase, directory: string, env: Readonly<Record<string, string>>): Promise<Outcome> {
  const [cc, cxx] = one.family === 'gcc' ? ['gcc', 'g++'] : ['clang', 'clang++'];
  const child = spawn('/bin/sh', ['-c', one.run], {
    cwd: directory,
    env: { ...process.env, CC: cc, CXX: cxx, ...one.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const { pid } = child;
  // With all that it has started: what holds the streams open keeps the case from ending.
  const limit = setTimeout(() => pid !== undefined && process.kill(-pid, 'SIGKILL'), limitMs);
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString('latin1')));
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString('latin1')));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(limit);
      resolve({ status, signal, ...text, files: snapshot(directory) });
    });
  });
}

function endsOf({ remote, cached, reasons }: Summary): string[] {
  const travelled = Array.from({ length: remote + cached }, () => 'remote');
  return [...travelled, ...Object.entries(reasons).flatMap(([id, count]) => Array.from({ length: count }, () => id))];
}

/** As `execute`, in a build session of its own. */
async function executeInSession(one: FamilyCase, directory: string): Promise<Outcome> {
  const id = newSessionId();
  const line = await ask({
    op: 'session',
    id,
    settings: settingsFrom(process.env),
    cwd: directory,
    progressMs: 0,
    adopt: false,
  });
  const session = await line?.next();
  if (line === undefined || session?.kind !== 'session')
    throw new Error(`${one.name}: no session: ${JSON.stringify(session)}`);
  const outcome = await execute(one, directory, { [sessionVariable]: id });
  line.send({ op: 'end' });
  const end = await line.next();
  line.close();
  if (end?.kind !== 'summary') throw new Error(`${one.name}: no summary: ${JSON.stringify(end)}`);
  return { ...outcome, ends: endsOf(end.summary) };
}

const [casesFile = '', answerFile = '', root = '', widthText = '', mode = ''] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(casesFile, 'utf8')) as readonly FamilyCase[];
const outcomes: Record<string, Outcome> = {};
const queue = [...cases.entries()];

async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [at, one] = next;
    const directory = join(root, `case-${at}`);
    layOut(directory, one.files);
    outcomes[one.name] =
      mode === 'sessions' ? await executeInSession(one, directory) : await execute(one, directory, {});
    rmSync(directory, { recursive: true, force: true });
  }
}

await Promise.all(Array.from({ length: Number(widthText) }, work));
writeFileSync(answerFile, JSON.stringify(outcomes));

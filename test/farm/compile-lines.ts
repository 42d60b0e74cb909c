// A program for the tests: runs the compiles that a file lists, several at a time, and writes down how each ended. It is run
// once by itself and once by `shoal run`, so both see the same command lines in the same directory.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { CompileLine } from '../../bench/corpus.ts';

export type LineEnd = {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

const [listFile = '', answerFile = '', widthText = ''] = process.argv.slice(2);
const lines = JSON.parse(readFileSync(listFile, 'utf8')) as readonly CompileLine[];
const ends: Record<string, LineEnd> = {};

function compile(line: CompileLine): Promise<LineEnd> {
  const [command = '', ...args] = line.arguments;
  const child = spawn(command, args, { cwd: line.directory, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString('latin1')));
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString('latin1')));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, ...text }));
  });
}

const queue = [...lines];

async function work(): Promise<void> {
  for (let line = queue.shift(); line !== undefined; line = queue.shift()) ends[line.output] = await compile(line);
}

await Promise.all(Array.from({ length: Number(widthText) }, work));
writeFileSync(answerFile, JSON.stringify(ends));

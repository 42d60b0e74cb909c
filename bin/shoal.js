#!/usr/bin/env node
// What npm links as `shoal`. It costs a start of Node; `shoal make` puts the real launcher on PATH for its build.
// A subcommand runs in this process; anything else is a compiler, and goes to the launcher.
import { spawnSync } from 'node:child_process';
import { main, isSubcommand } from '../dist/shoal/main.js';
import { ensureNative } from '../dist/shoal/native.js';

const [word] = process.argv.slice(2);
if (word === undefined || word.startsWith('-') || isSubcommand(word)) {
  await main(process.argv.slice(2));
} else {
  const { launcher } = await ensureNative();
  const { status, signal, error } = spawnSync(launcher, process.argv.slice(2), { stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (signal !== null) process.kill(process.pid, signal);
  process.exitCode = status ?? 1;
}

// `distcc`: what the launcher does not do itself when it is called so. Its own options, and a compile that npm's link
// brought here. What is printed, and where, is as distcc has it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { layOutNames } from '../client/builds/names.ts';
import { withRightNames } from '../distcc/environment.ts';
import { distccExit } from '../distcc/exit-codes.ts';
import { distccHostSource } from '../distcc/host-source.ts';
import { parseDistccHosts, readDistccWords } from '../distcc/host-words.ts';
import { ensureNative } from '../native.ts';
import { version } from '../observe/version.ts';
import { cacheDir } from '../user-directories.ts';
import type { Invocation } from './invocation.ts';

const about = `distcc (shoal ${version})\n  (protocols 1, 2 and 3) (default port 3632)\n`;

const help = `${about}
Usage:
   distcc [--scan-includes] [COMPILER] [compile options] -o OBJECT -c SOURCE
   distcc [--help|--version|--show-hosts|-j]

Options:
   COMPILER                   "cc" unless it is named.
   --help                     Explain usage, and exit.
   --version                  Show the version, and exit.
   --show-hosts               Show the list of hosts, a line each, and exit.
   -j                         Show how many jobs those take at once, and exit.
   --scan-includes            Show the files that would be sent for a compile, and exit.
   --show-principal           Show the GSS-API principal of the servers, and exit.

Environment variables: docs/distcc-environment.md has them all.

Hosts are those of DISTCC_HOSTS, or of the first file there is of DISTCC_DIR/hosts (DISTCC_DIR is ~/.distcc unless it is
set) and /etc/distcc/hosts; \`shoal hosts --explain "HOSTS"\` tells what each word means:

   localhost                  On this box, without a network.
   HOST[:PORT][/LIMIT]        By TCP, port 3632 unless it is named.
   [USER]@HOST[/LIMIT][:CMD]  By ssh.
   HOST,lzo                   Compressed.
   HOST,lzo,cpp               Preprocessed there.
   HOST,auth[=NAME]           Proves who it is by GSS-API.
   --randomize                No host comes first.
   +zeroconf                  Servers that announce themselves.
`;

type Listed = { readonly kind: 'words'; readonly text: string } | { readonly kind: 'none'; readonly why: string };

function listed(env: Invocation['env']): Listed {
  const source = distccHostSource(env);
  if (source.kind === 'none') return { kind: 'none', why: `no hosts: looked at ${source.looked.join(', ')}` };
  const parsed = parseDistccHosts(source.text);
  if (parsed.kind === 'invalid') {
    const { what, remedy } = parsed.mistake;
    return { kind: 'none', why: `${source.from} is wrong at "${parsed.word}": ${what}; ${remedy}` };
  }
  const { hosts, localhost, zeroconf } = parsed.list;
  if (hosts.length === 0 && localhost === undefined && !zeroconf) {
    return { kind: 'none', why: `${source.from} names no hosts` };
  }
  return { kind: 'words', text: source.text };
}

/** A line each, as they were written. */
export function shownHosts(text: string): string {
  const shown = readDistccWords(text).filter(({ meaning }) => meaning.kind === 'host' || meaning.kind === 'localhost');
  return shown.map((word) => `${word.text}\n`).join('');
}

/** Hosts that are down count, as in distcc. */
export function concurrency(text: string): number {
  const parsed = parseDistccHosts(text);
  if (parsed.kind === 'invalid') return 0;
  return parsed.list.hosts.reduce((sum, { limit }) => sum + limit, parsed.list.localhost ?? 0);
}

/** Without a list there is nothing to show, and no failure. */
function showFrom(env: Invocation['env'], shown: (text: string) => string): void {
  const list = listed(env);
  if (list.kind === 'words') process.stdout.write(shown(list.text));
  else process.stderr.write(`distcc: ${list.why}\n`);
}

function showPrincipal(env: Invocation['env']): void {
  const principal = withRightNames(env)['DISTCC_PRINCIPAL'];
  process.stdout.write(principal === undefined ? 'Principal\t: Not Set.\n' : `Principal is\t: ${principal}\n`);
}

/** npm links `distcc` to a script, which finds the launcher in the cache from now on: it must be there under that name. */
async function launch(args: readonly string[], env: Invocation['env']): Promise<void> {
  const { launcher } = await ensureNative();
  const directory = join(cacheDir(), 'bin');
  layOutNames(directory, [], launcher, 'more');
  const { status, signal, error } = spawnSync(join(directory, 'distcc'), args, { stdio: 'inherit', env });
  if (error !== undefined) throw error;
  if (signal !== null) process.kill(process.pid, signal);
  process.exitCode = status ?? 1;
}

export async function distccCommand({ args, env }: Invocation): Promise<void> {
  const [option] = args;
  switch (option) {
    case undefined:
      process.stderr.write("distcc: missing option/operand\nTry `distcc --help' for more information.\n");
      process.exitCode = distccExit.badArguments;
      return;
    case '--help':
      process.stdout.write(help);
      return;
    case '--version':
      process.stdout.write(about);
      return;
    case '--show-hosts':
      showFrom(env, shownHosts);
      return;
    case '-j':
      showFrom(env, (text) => `${concurrency(text)}\n`);
      return;
    case '--scan-includes':
      await (await import('./distcc-scan.ts')).scanIncludes(args.slice(1), env);
      return;
    case '--show-principal':
      showPrincipal(env);
      return;
    default:
      await launch(args, env);
  }
}

// A host by ssh: the program's standard streams lead to the worker that the user has there. Keys, jumps and names are
// ssh's own affair, and its configuration's.
import type { DistccHost } from '../distcc/host-list.ts';
import type { HostAddress } from './host-spec.ts';

type Environment = Readonly<Record<string, string | undefined>>;

// A box that lost its power is found out by ssh itself; it never asks for a password, for nobody would see that.
const options = ['-T', '-o', 'BatchMode=yes', '-o', 'ServerAliveInterval=10', '-o', 'ServerAliveCountMax=2'] as const;

/** The command that reaches the worker. SHOAL_SSH, words with blanks between, is used in place of `ssh`. */
export function sshCommand(
  { host, port, user }: Extract<HostAddress, { readonly kind: 'ssh' }>,
  env: Environment,
): readonly [string, ...string[]] {
  const [program = 'ssh', ...more] = (env['SHOAL_SSH'] ?? '').split(/\s+/).filter((word) => word !== '');
  const portWords = port === undefined ? [] : ['-p', String(port)];
  const userWords = user === undefined ? [] : ['-l', user];
  return [program, ...more, ...options, ...portWords, ...userWords, '--', host, 'shoal', 'worker', '--stdio'];
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

/**
 * The command that reaches a distccd there, in distcc's own form. DISTCC_SSH, words with blanks between, is used in place of
 * `ssh`, as it stands: it is not known to be one that takes ssh's options.
 */
export function distccSshCommand(
  { host, user, command }: Extract<DistccHost['transport'], { readonly kind: 'ssh' }>,
  env: Environment,
): readonly [string, ...string[]] {
  const [own, ...more] = words(env['DISTCC_SSH']);
  const [usual = 'ssh', ...usualMore] = words(env['SHOAL_SSH']);
  const program: readonly [string, ...string[]] =
    own === undefined ? [usual, ...usualMore, ...options] : [own, ...more];
  const userWords = user === undefined ? [] : ['-l', user];
  return [...program, ...userWords, host, command ?? 'distccd', '--inetd', '--enable-tcp-insecure'];
}

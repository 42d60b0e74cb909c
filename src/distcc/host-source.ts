// Where distcc would read its list of hosts from: the first of DISTCC_HOSTS, even if empty; DISTCC_DIR/hosts or, where
// that is not set, ~/.distcc/hosts; /etc/distcc/hosts. As the program does it: a file that is there is taken, whatever it
// holds, and with DISTCC_DIR set the one below the home directory is not looked for.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

export type HostSource =
  | { readonly kind: 'found'; readonly from: string; readonly text: string }
  | { readonly kind: 'none'; readonly looked: readonly string[] };

/** The text of a file that can be read. */
export type ReadText = (path: string) => string | undefined;

export const hostsVariable = 'DISTCC_HOSTS';
const systemHosts = '/etc/distcc/hosts';

export function distccHostSource(env: Environment, readText: ReadText = textOf): HostSource {
  const named = env[hostsVariable];
  if (named !== undefined) return { kind: 'found', from: hostsVariable, text: named };
  const looked = hostFiles(env);
  for (const from of looked) {
    const text = readText(from);
    if (text !== undefined) return { kind: 'found', from, text };
  }
  return { kind: 'none', looked: [hostsVariable, ...looked] };
}

function hostFiles(env: Environment): readonly string[] {
  const directory = distccDirectory(env);
  return directory === undefined ? [systemHosts] : [join(directory, 'hosts'), systemHosts];
}

/** Where distcc keeps a user's files. */
export function distccDirectory({ DISTCC_DIR: named, HOME: home }: Environment): string | undefined {
  if (named !== undefined) return named === '' ? '/' : named;
  return home === undefined ? undefined : join(home, '.distcc');
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

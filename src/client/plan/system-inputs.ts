// Inputs that no source names: the links that lead to the compiler, the logical working directory, and what the job's
// locale is made of. Without the last, a user of any language but C's would see other quotation marks, or English.
import { existsSync } from 'node:fs';
import { isOnTerminal } from '../launcher-wire.ts';
import type { UnderstoodJob } from './understand.ts';

const plainLocales: ReadonlySet<string> = new Set(['', 'C', 'POSIX', 'C.UTF-8', 'C.utf8']);

// Text domains of the programs that a compile runs: gcc's driver and cc1 (versioned on Debian), as, bfd, libc.
function messageDomains(version: string): string[] {
  const major = version.split('.')[0] ?? '';
  return ['gcc', `gcc-${major}`, 'cpplib', `cpplib-${major}`, 'gas', 'bfd', 'opcodes', 'binutils', 'libc'];
}

/** `de_DE.UTF-8@euro` → `de_DE.UTF-8@euro`, `de_DE`, `de`: the directories where gettext looks for a language. */
function languageDirectories(locale: string): string[] {
  const territory = locale.replace(/[.@].*$/, '');
  const language = territory.replace(/_.*$/, '');
  return [...new Set([locale, territory, language])].filter((name) => /^[A-Za-z0-9_.@-]+$/.test(name));
}

function localeNames(env: ReadonlyMap<string, string>): string[] {
  const all = env.get('LC_ALL');
  const categories = ['LC_MESSAGES', 'LC_CTYPE', 'LANG'].map((name) => env.get(name) ?? '');
  return all !== undefined && all !== '' ? [all] : categories;
}

function localeFiles(locale: string, version: string): string[] {
  const lower = locale.replace(/\.UTF-?8$/i, '.utf8');
  const categories = ['LC_CTYPE', 'LC_MESSAGES/SYS_LC_MESSAGES', 'LC_COLLATE', 'LC_IDENTIFICATION'];
  const data = ['/usr/lib/locale/locale-archive', ...categories.map((name) => `/usr/lib/locale/${lower}/${name}`)];
  const messages = languageDirectories(locale).flatMap((directory) => {
    return messageDomains(version).map((domain) => `/usr/share/locale/${directory}/LC_MESSAGES/${domain}.mo`);
  });
  return [...data, ...messages].filter((path) => existsSync(path));
}

const byLocale = new Map<string, readonly string[]>();

function localeInputs(env: ReadonlyMap<string, string>, version: string): readonly string[] {
  const named = localeNames(env).filter((name) => !plainLocales.has(name));
  if (named.length === 0) return [];
  const languages = (env.get('LANGUAGE') ?? '').split(':');
  const names = [...named, ...languages].filter((name) => !plainLocales.has(name));
  const key = [version, ...names].join('\0');
  let files = byLocale.get(key);
  if (files === undefined) {
    files = ['/usr/share/locale/locale.alias', ...names.flatMap((name) => localeFiles(name, version))];
    byLocale.set(key, files);
  }
  return files;
}

// Where ncurses looks, in its order; clang asks it whether the terminal can show colours.
const terminfoDirectories = ['/etc/terminfo', '/lib/terminfo', '/usr/share/terminfo'];

function terminalInputs(env: ReadonlyMap<string, string>): string[] {
  const name = env.get('TERM') ?? '';
  if (!/^[\w.+-]+$/.test(name)) return [];
  return terminfoDirectories
    .map((directory) => `${directory}/${name.charAt(0)}/${name}`)
    .filter((path) => existsSync(path));
}

/** Absolute paths that the job's root needs besides its sources and headers. */
export function systemInputs({ request, toolchain, env }: UnderstoodJob): string[] {
  const variables = new Map(env.map(({ name, value }) => [name, value]));
  const paths = [request.compiler];
  const logical = variables.get('PWD');
  if (logical !== undefined && logical !== request.cwd && logical.startsWith('/')) paths.push(logical);
  if (toolchain.family === 'clang' && isOnTerminal(request.terminal)) paths.push(...terminalInputs(variables));
  return [...paths, ...localeInputs(variables, toolchain.version)];
}

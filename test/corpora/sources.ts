// Sources of real projects, as their authors released them, unpacked where a build may spoil them. The kernel's come in a
// Debian package that is installed; the others are the archives inside Debian's source packages, fetched once and pinned.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes `directory`, which is not there yet, hold fresh sources. */
export type Source = (directory: string) => void;

const cache = join(process.cwd(), '.cache/corpora');

export const kernelSource: Source = (directory) => unpack('/usr/src/linux-source-6.1.tar.xz', directory);

/** The archive of the project's own release in a source package; packaging and patches of Debian are left out. */
export function debianSource(name: string, archive: string, sha256: string): Source {
  return (directory) => {
    const kept = join(cache, archive);
    if (!existsSync(kept)) fetch(name, kept);
    const found = createHash('sha256').update(readFileSync(kept)).digest('hex');
    if (found !== sha256) throw new Error(`${kept}: its sha256 is ${found}, expected ${sha256}`);
    unpack(kept, directory);
  };
}

function unpack(archive: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('tar', ['-xf', archive, '-C', directory, '--strip-components=1', '--no-same-owner']);
}

function fetch(name: string, kept: string): void {
  const half = `${kept}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  try {
    const apt = (...args: readonly string[]): void => {
      execFileSync('apt-get', ['--quiet=2', ...sourceLists(), ...args], {
        cwd: half,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    };
    try {
      apt('source', '--download-only', '--tar-only', name);
    } catch {
      // No lists yet, or old ones.
      apt('update');
      apt('source', '--download-only', '--tar-only', name);
    }
    const packed = readdirSync(half).find((file) => kept.endsWith(`/${file}`));
    if (packed === undefined) throw new Error(`${name}: its source package has ${readdirSync(half).join(', ')}`);
    renameSync(join(half, packed), kept);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
}

/** Options with which apt-get sees the source packages of the distribution's own archives; the system's lists stay. */
function sourceLists(): readonly string[] {
  const home = join(cache, 'apt');
  for (const name of ['lists/partial', 'parts', 'archives/partial']) mkdirSync(join(home, name), { recursive: true });
  for (const { name, text } of systemLists()) writeFileSync(join(home, 'parts', name), text);
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(home, 'parts'),
    'Dir::State::lists': join(home, 'lists'),
    'Dir::Cache': home,
    // As root apt-get fetches as a user of its own, who may not write here.
    'APT::Sandbox::User': 'root',
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

function systemLists(): { readonly name: string; readonly text: string }[] {
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  // Archives of others name their suites otherwise, and have no sources.
  const own = new RegExp(`\\s${codename}(?:-\\S+)?\\s`);
  const parts = '/etc/apt/sources.list.d';
  const files = [...readdirSync(parts).map((name) => join(parts, name)), '/etc/apt/sources.list'];
  return files.filter(existsSync).flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    if (!own.test(text)) return [];
    const sources = text.replaceAll(/^Types:.*$/gm, 'Types: deb-src').replaceAll(/^deb(?=\s)/gm, 'deb-src');
    return [{ name: file.slice(file.lastIndexOf('/') + 1), text: sources }];
  });
}

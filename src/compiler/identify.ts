// Which toolchain is behind a compiler's name. The answers of the compiler (which programs, which directories) and the
// digests of its files are kept between runs; what stat says of every file is looked at again each time.
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { keepLatest, writeKept } from '../kept-file.ts';
import { runTool } from './run-tool.ts';
import { familyOf, membersOfCompiler, type Members } from './toolchain-members.ts';
import { buildTree, stampOf, walkTo, type KnownDigests } from './toolchain-tree.ts';
import type { IdentifyOptions, NotACompiler, Toolchain, ToolchainLink, ToolchainTree } from './toolchain.ts';
import type { Digest } from '../reapi/digest.ts';
import type { Family } from './translation-unit.ts';

const cacheVersion = 4;

type Kept = {
  readonly version: typeof cacheVersion;
  readonly driverStamp: string;
  readonly family: Family;
  readonly compilerVersion: string;
  readonly target: string;
  readonly members: Members;
  readonly digests: readonly (readonly [string, { readonly stamp: string; readonly hash: string }])[];
  /** Of the links and directories of the tree: with the files' they say whether it is still the same. */
  readonly stamps: readonly (readonly [string, string])[];
  /** The tree's digest. */
  readonly digest: Digest;
};

type Asked = Pick<Kept, 'family' | 'compilerVersion' | 'target' | 'members'>;

const notACompiler = (why: string): NotACompiler => ({ kind: 'not-a-compiler', why });

function keptPath(driver: string, options: IdentifyOptions): string | undefined {
  if (options.cacheDir === undefined) return undefined;
  const key = [driver, options.pathEnv, options.libraryPath ?? ''].join('\0');
  return join(options.cacheDir, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
}

function readKept(path: string | undefined, driverStamp: string): Kept | undefined {
  if (path === undefined) return undefined;
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as Kept;
    return kept.version === cacheVersion && kept.driverStamp === driverStamp ? kept : undefined;
  } catch {
    return undefined;
  }
}

// Of what a compiler said, and of its directories of headers, under each set of options: some KB each.
const mostKept = 256;

function keep(path: string | undefined, kept: Kept): void {
  if (path === undefined) return;
  writeKept(path, () => JSON.stringify(kept));
  keepLatest(dirname(path), mostKept);
}

const elfMagic = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

function isProgram(path: string): boolean {
  return readFileSync(path).subarray(0, 4).equals(elfMagic);
}

async function ask(driver: string, options: IdentifyOptions): Promise<Asked | NotACompiler> {
  if (!isProgram(driver)) return notACompiler('it is a script');
  const { stderr, stdout, succeeded } = await runTool(driver, ['-v'], options);
  const text = `${stdout}${stderr}`;
  // No process was to be had for it, or it was killed: a box that is busy, not another kind of program.
  if (!succeeded && text.trim() === '') return { ...notACompiler('it does not answer -v'), unsure: true };
  const family = succeeded ? familyOf(text) : undefined;
  if (family === undefined) return notACompiler('it does not answer -v as gcc or clang do');
  const members = await membersOfCompiler(driver, family, options);
  if (members === undefined) {
    return { ...notACompiler('a part of it (cc1, as, its own directory) is not there'), unsure: true };
  }
  const compilerVersion = /version ([0-9][0-9.]*)/.exec(text)?.[1] ?? '';
  const target = /^Target: (\S+)$/m.exec(text)?.[1] ?? '';
  return { family, compilerVersion, target, members };
}

/** The physical directories that belong to the compiler whole. */
function ownDirectoriesOf(members: Members): string[] {
  return members.wholeDirectories.flatMap((directory) => walkTo(directory, () => undefined) ?? []);
}

function stampAt(path: string): string {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '-' : stampOf(found);
}

/** True if nothing of the tree has changed by what stat says: 1,000 stats, where reading it all costs 50 ms. */
function isCurrent({ digests, stamps }: Kept): boolean {
  return (
    digests.every(([path, { stamp }]) => stampAt(path) === stamp) &&
    stamps.every(([path, stamp]) => stampAt(path) === stamp)
  );
}

type Describing = { readonly driverStamp: string; readonly kept: Kept | undefined; readonly path: string | undefined };

/** Builds the tree anew, reading only files that changed, and keeps what it is. */
function describe({ family, compilerVersion, target, members }: Asked, { driverStamp, kept, path }: Describing): Kept {
  const digests: KnownDigests = new Map(kept?.digests);
  const { tree, digest } = buildTree(members, digests);
  const inTree = new Set(tree.files.map((file) => file.path));
  const others = [...tree.symlinks.map((link) => link.path), ...tree.directories];
  const described: Kept = {
    version: cacheVersion,
    driverStamp,
    family,
    compilerVersion,
    target,
    members,
    digests: [...digests].filter(([file]) => inTree.has(file)),
    stamps: others.map((other) => [other, stampAt(other)]),
    digest,
  };
  keep(path, described);
  return described;
}

/** The toolchain that `driverPath` (absolute, as found) leads to, or why it is none that can be carried elsewhere. */
export async function identifyToolchain(
  driverPath: string,
  options: IdentifyOptions,
): Promise<Toolchain | NotACompiler> {
  const aliases: ToolchainLink[] = [];
  const driver = walkTo(driverPath, (path, target) => aliases.push({ path, target }));
  if (driver === undefined) return notACompiler('it does not exist');
  try {
    const driverStamp = stampOf(statSync(driver, { bigint: true }));
    const path = keptPath(driver, options);
    const kept = readKept(path, driverStamp);
    const asked = kept ?? (await ask(driver, options));
    if ('why' in asked) return asked;
    const current = kept !== undefined && isCurrent(kept) ? kept : describe(asked, { driverStamp, kept, path });
    const { family, compilerVersion, target, members, digest } = current;
    const ownDirectories = ownDirectoriesOf(members);
    const files = new Set(current.digests.map(([file]) => file));
    let tree: ToolchainTree | undefined;
    return {
      kind: 'toolchain',
      family,
      version: compilerVersion,
      target,
      driver,
      aliases,
      cplusplusDriver: /\+\+(-[0-9.]+)?$/.test(basename(driverPath)) || /\+\+(-[0-9.]+)?$/.test(basename(driver)),
      digest,
      get tree(): ToolchainTree {
        tree ??= buildTree(members, new Map(current.digests)).tree;
        return tree;
      },
      ownDirectories,
      watch: [...new Set([...members.programs, ...ownDirectories])],
      isInside: (inside) =>
        files.has(inside) || ownDirectories.some((own) => inside === own || inside.startsWith(`${own}/`)),
    };
  } catch (error) {
    return { ...notACompiler((error as Error).message), unsure: true };
  }
}

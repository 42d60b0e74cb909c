// What a distcc job finds in its root, above the compiler's toolchain.
//
// Protocols 1 and 2: the preprocessed source at a name of ours, as with stock distccd; its line markers say where it came
// from. Protocol 3: the client's files at the client's own absolute paths, so that neither the command line nor debug
// information nor dependencies have to be rewritten, which stock distccd does with what is below a temporary directory.
import { readdirSync, realpathSync } from 'node:fs';
import { join, posix } from 'node:path';
import { runTool } from '../../compiler/run-tool.ts';
import { searchListIn } from '../../compiler/toolchain-members.ts';
import { preprocessedExtension, withDependencies, withPlaces } from '../../distcc/compile-command.ts';
import type { FilesRequest, Request, SourceRequest } from '../../distcc/request.ts';
import { pathBelowRoot, sentTree } from '../../distcc/sent-tree.ts';
import type { Addition } from '../sandbox/sandbox.ts';
import { hostPaths } from '../sandbox/slot-process.ts';
import type { BoxCompiler } from './commands.ts';
import type { CommandWithFiles } from './specs.ts';

export type JobRoot = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly additions: readonly Addition[];
  readonly symlinks: readonly { readonly path: string; readonly target: string }[];
  readonly directories: readonly string[];
  /** Directories of the box that are shown as they are. */
  readonly hostDirs: readonly string[];
  readonly output: string;
  readonly dependencies: string | undefined;
};

export type RootOptions = { readonly compiler: BoxCompiler; readonly toolchainDir: string; readonly pathEnv: string };

const ownPlace = 'tmp/distccd';
const dependenciesPlace = `${ownPlace}.d`;

export async function rootFor(request: Request, command: CommandWithFiles, options: RootOptions): Promise<JobRoot> {
  const links = options.compiler.links.map(({ path, target }) => ({ path: path.slice(1), target }));
  if (request.version !== 3) return sourceRoot(request, command, links);
  return filesRoot(request, command, { links, system: await systemDirectories(options) });
}

type Links = JobRoot['symlinks'];

function sourceRoot({ source }: SourceRequest, { command, files }: CommandWithFiles, links: Links): JobRoot {
  const input = `${ownPlace}${preprocessedExtension(command.input)}`;
  const output = `${ownPlace}${command.stopsAt === 'object' ? '.o' : '.out.s'}`;
  return {
    argv: withPlaces(command, `/${input}`, `/${output}`),
    cwd: '/tmp',
    additions: [...files, addition(input, source)],
    symlinks: links,
    directories: ['tmp'],
    hostDirs: [],
    output,
    dependencies: undefined,
  };
}

function addition(path: string, content: Buffer): Addition {
  return { path, content, executable: false };
}

type Around = { readonly links: Links; readonly system: readonly string[] };

function filesRoot(request: FilesRequest, { command, files: extra }: CommandWithFiles, around: Around): JobRoot {
  const cwd = pathBelowRoot(request.cwd);
  const output = pathBelowRoot(posix.resolve(`/${cwd}`, command.output));
  const { files, links } = sentTree(request.files);
  const isLink = (path: string): boolean => links.has(path) || (path.includes('/') && isLink(posix.dirname(path)));
  // What the client sends of a directory it has chosen: then the box's own headers there are not its.
  const isBrought = (directory: string): boolean =>
    isLink(directory) || [...files.keys()].some((path) => path.startsWith(`${directory}/`));
  const hostDirs = around.system.filter((directory) => !isBrought(directory));
  const wanted = [cwd, posix.dirname(output), 'tmp', ...hostDirs].filter((path) => path !== '' && path !== '.');
  return {
    argv: withDependencies(command.argv, `/${dependenciesPlace}`),
    cwd: `/${cwd}`,
    additions: [...extra, ...[...files].map(([path, content]) => addition(path, content))],
    symlinks: [...around.links, ...[...links].map(([path, target]) => ({ path, target }))],
    directories: [...new Set(wanted)].filter((path) => !isLink(path)),
    hostDirs,
    output,
    dependencies: dependenciesPlace,
  };
}

const askedBefore = new Map<string, Promise<readonly string[]>>();

/** Where this compiler looks for headers that are neither its own nor the client's, without leading slash. */
function systemDirectories({ compiler, toolchainDir, pathEnv }: RootOptions): Promise<readonly string[]> {
  const key = `${compiler.driver} ${compiler.digest.hash}`;
  const known = askedBefore.get(key);
  if (known !== undefined) return known;
  const asked = askForDirectories(compiler.driver, toolchainDir, pathEnv);
  askedBefore.set(key, asked);
  return asked;
}

async function askForDirectories(driver: string, toolchainDir: string, pathEnv: string): Promise<readonly string[]> {
  const { stderr } = await runTool(driver, ['-v', '-E', '-x', 'c', '/dev/null', '-o', '/dev/null'], { pathEnv });
  const paths = searchListIn(stderr).found.map((path) => posix.normalize(path).replace(/\/$/, '').slice(1));
  const shown = paths.filter(
    (path) => isPhysical(`/${path}`) && isInHostPaths(path) && !hasFiles(join(toolchainDir, path)),
  );
  return [...new Set(shown)].filter((path) => !shown.some((other) => path.startsWith(`${other}/`)));
}

function isInHostPaths(path: string): boolean {
  return hostPaths.some((host) => path.startsWith(`${host}/`));
}

function isPhysical(path: string): boolean {
  try {
    return realpathSync(path) === path;
  } catch {
    return false;
  }
}

/** The toolchain's tree has these headers itself. */
function hasFiles(path: string): boolean {
  try {
    return readdirSync(path, { withFileTypes: true }).some((entry) => entry.isFile());
  } catch {
    return false;
  }
}

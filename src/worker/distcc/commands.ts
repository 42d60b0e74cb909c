// The compilers that distcc's clients may name: this worker's own, by the names that lead to them on its path. Nobody keeps
// a list, or a directory of links, current: what is installed is there, and what was removed is not.
//
// With DISTCC_CMDLIST there is a list all the same: a file of commands, of which clients' commands must be one by their
// last words, and which says where that one is.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { findCompilers, type FoundCompiler } from '../../compiler/discover.ts';
import { walkTo } from '../../compiler/toolchain-tree.ts';
import type { ToolchainLink } from '../../compiler/toolchain.ts';
import type { Digest } from '../../reapi/digest.ts';
import type { WorkerToolchains } from '../toolchains/toolchains.ts';

export type BoxCompiler = {
  readonly digest: Digest;
  readonly driver: string;
  /** How it is to be called in a root that has the toolchain and `links`. */
  readonly called: string;
  /** From the name that was asked for to the driver. */
  readonly links: readonly ToolchainLink[];
};

export type Commands = {
  readonly find: (name: string) => Promise<BoxCompiler | undefined>;
  /** For a message: what there is. */
  readonly names: () => Promise<readonly string[]>;
  readonly pathEnv: string;
};

export type CommandList = { readonly path: string; readonly words: number };

export type CommandsOptions = {
  readonly pathEnv: string;
  readonly toolchains: Pick<WorkerToolchains, 'announced' | 'recheck'>;
  readonly list?: CommandList | undefined;
  readonly nowMs: () => number;
};

// Looking takes some 3 ms; who installs a compiler can wait that long.
const keptMs = 2000;

/** The last words of a command are those after the last slashes. */
function lastWords(command: string, words: number): string {
  return command.split('/').slice(-words).join('/');
}

/** By last words, the commands of the list's file. @throws if it cannot be read. */
export function readCommandList({ path, words }: CommandList): ReadonlyMap<string, string> {
  const commands = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim());
  return new Map(commands.filter((line) => line !== '').map((line) => [lastWords(line, words), line]));
}

export function openCommands({ pathEnv, toolchains, list, nowMs }: CommandsOptions): Commands {
  let found: Promise<readonly FoundCompiler[]> = Promise.resolve([]);
  let foundAtMs = -Infinity;

  const look = (): Promise<readonly FoundCompiler[]> => {
    if (nowMs() - foundAtMs < keptMs) return found;
    foundAtMs = nowMs();
    found = findCompilers(pathEnv);
    return found;
  };

  const pathOf = async (name: string): Promise<string | undefined> => {
    if (list !== undefined) return readCommandList(list).get(lastWords(name, list.words));
    const byName = (await look()).find((each) => (name.includes('/') ? each.path === name : each.name === name));
    return byName?.path;
  };

  const find: Commands['find'] = async (name) => {
    const path = await pathOf(name);
    if (path === undefined || !posix.isAbsolute(path)) return undefined;
    const links: ToolchainLink[] = [];
    const driver = walkTo(path, (at, target) => links.push({ path: at, target }));
    const toolchain = toolchains.announced().find((each) => each.driver === driver);
    if (driver === undefined || toolchain?.digest === undefined) {
      toolchains.recheck();
      return undefined;
    }
    return { digest: toolchain.digest, driver, called: list === undefined ? name : path, links };
  };

  const names: Commands['names'] = async () => {
    const drivers = new Set(toolchains.announced().map(({ driver }) => driver));
    return (await look())
      .filter(({ realPath }) => drivers.has(realPath))
      .map(({ name }) => name)
      .toSorted();
  };

  return { find, names, pathEnv };
}

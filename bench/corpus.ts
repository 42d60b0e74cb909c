// The real sources that the bench and the farm's tests compile. They come inside npm packages, whose versions and
// integrity are pinned here; `layOut` makes a tree of them that any side may build and spoil:
//
//   TREE/leveldb, abseil, re2, sqlite   sources, as in the packages
//   TREE/compile_commands.json          one entry a compile, as CMake and Meson write it
//   TREE/Makefile                       the same compiles; `make -j8 CXX=…` builds, nothing else has to be changed
//   TREE/build/                         objects and dependency files
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export type ProjectName = 'leveldb' | 'abseil' | 're2' | 'sqlite';

/** An entry of compile_commands.json. `file` and `output` are relative to `directory`, as the command names them. */
export type CompileLine = {
  readonly directory: string;
  readonly file: string;
  readonly arguments: readonly string[];
  readonly output: string;
};

export type Tree = { readonly directory: string; readonly lines: readonly CompileLine[] };

export type TreeOptions = {
  readonly projects: readonly ProjectName[];
  /** Options of every compile, for example `-O0`. */
  readonly flags: readonly string[];
  /** Only every so many-th file, for a quick look; 1 takes all. */
  readonly everyNth?: number;
};

type Package = { readonly spec: string; readonly integrity: string };

const packages = {
  leveldown: {
    spec: 'leveldown@6.1.1',
    integrity: 'sha512-88c+E+Eizn4CkQOBHwqlCJaTNEjGpaEIikn1S+cINc5E9HEvJ77bqY4JY/HxT5u0caWqsc3P3DcFIKBI1vHt+A==',
  },
  re2: {
    spec: 're2@1.24.0',
    integrity: 'sha512-pBm6cMaOb0Yb0kg0Sfw/k4LwDMkPScb/NVd7GrEllDwfsPZstsZIo93A6Nn0wZuWJw3h57GdzkrOk81EofKY/g==',
  },
  sqlite: {
    spec: 'better-sqlite3@12.11.1',
    integrity: 'sha512-dq9AtApgg5PGFtBzPFSBl3HZQjHok5gaQCM6zh2Yk0aSmDCs1CbnVI8/HgASQkNKsWFpseIO9beg5xxpYhbIfA==',
  },
} as const satisfies Record<string, Package>;

type Project = {
  readonly from: Package;
  readonly path: string;
  /** Compiled: what `accept` matches and `reject` does not (tests, other systems' ports, what needs GoogleTest). */
  readonly accept: RegExp;
  readonly reject: RegExp;
  readonly compiler: readonly string[];
  readonly options: readonly string[];
};

const cxx17: readonly string[] = ['g++', '-std=c++17'];

const projects: Readonly<Record<ProjectName, Project>> = {
  leveldb: {
    from: packages.leveldown,
    path: 'deps/leveldb/leveldb-1.20',
    accept: /\.cc$/,
    reject: /_test\.cc$|test(harness|util)|^issues\/|_bench\.cc$/,
    compiler: cxx17,
    options: ['-DOS_LINUX', '-DLEVELDB_PLATFORM_POSIX', '-DNDEBUG', '-Ileveldb', '-Ileveldb/include'],
  },
  abseil: {
    from: packages.re2,
    path: 'vendor/abseil-cpp',
    accept: /\.cc$/,
    reject: /_test|test_|testing|benchmark|mock|win32_|_win\.cc$|status_matchers/,
    compiler: cxx17,
    options: ['-Iabseil'],
  },
  re2: {
    from: packages.re2,
    path: 'vendor/re2',
    accept: /^(re2|util)\/.*\.cc$/,
    reject: /test|fuzzing/,
    compiler: cxx17,
    options: ['-Ire2', '-Iabseil'],
  },
  sqlite: {
    from: packages.sqlite,
    path: 'deps/sqlite3',
    accept: /\.c$/,
    reject: /^$/,
    compiler: ['gcc', '-std=c11'],
    options: ['-DSQLITE_THREADSAFE=1', '-DSQLITE_ENABLE_FTS5', '-DSQLITE_ENABLE_RTREE', '-Isqlite'],
  },
};

/** Makes a fresh tree at `directory`, whatever was there, fetching into `cache` what it lacks. */
export function layOut(directory: string, cache: string, options: TreeOptions): Tree {
  rmSync(directory, { recursive: true, force: true });
  // re2 reads abseil's headers, so a tree of re2 holds abseil too.
  const present = new Set(options.projects.flatMap((name) => (name === 're2' ? (['re2', 'abseil'] as const) : [name])));
  for (const name of present) {
    const { from, path } = projects[name];
    cpSync(join(fetched(from, cache), path), join(directory, name), { recursive: true, preserveTimestamps: true });
  }
  const all = options.projects.flatMap((name) => linesOf(directory, name, options.flags));
  const lines = all.filter((_, at) => at % (options.everyNth ?? 1) === 0);
  for (const line of lines) mkdirSync(dirname(join(directory, line.output)), { recursive: true });
  writeFileSync(join(directory, 'compile_commands.json'), `${JSON.stringify(lines, undefined, 1)}\n`);
  writeFileSync(join(directory, 'Makefile'), makefile(lines, options.flags));
  return { directory, lines };
}

/** Changes every source by a comment that no other source and no other call has. */
export function changeEverySource(tree: Tree, tag: string): void {
  for (const { file } of tree.lines) appendFileSync(join(tree.directory, file), `\n/* ${tag}: ${file} */\n`);
}

function linesOf(directory: string, name: ProjectName, flags: readonly string[]): CompileLine[] {
  const { accept, reject, compiler, options } = projects[name];
  const sources = readdirSync(join(directory, name), { recursive: true, encoding: 'utf8' });
  return sources
    .filter((source) => accept.test(source) && !reject.test(source))
    .toSorted()
    .map((source) => {
      const file = `${name}/${source}`;
      const output = `build/${file.replace(/\.[a-z]+$/, '.o')}`;
      const args = [...compiler, ...flags, '-MD', ...options, '-c', file, '-o', output];
      return { directory, file, arguments: args, output };
    });
}

function makefile(lines: readonly CompileLine[], flags: readonly string[]): string {
  const rules = lines.map(({ file, output, arguments: [compiler, ...rest] }) => {
    const own = rest.filter((word) => !flags.includes(word)).join(' ');
    return `${output}: ${file}\n\t$(${compiler === 'g++' ? 'CXX' : 'CC'}) $(FLAGS) ${own}\n`;
  });
  const head = [
    'CC = gcc',
    'CXX = g++',
    `FLAGS = ${flags.join(' ')}`,
    `all: ${lines.map((line) => line.output).join(' ')}`,
  ];
  return [...head, '.PHONY: all', '', ...rules].join('\n');
}

/** The directory of an unpacked package, fetched and checked if the cache lacks it. */
function fetched({ spec, integrity }: Package, cache: string): string {
  const home = join(cache, spec);
  if (existsSync(home)) return join(home, 'package');
  const half = `${home}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  try {
    const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', half, spec], {
      encoding: 'utf8',
    }).trim();
    const archive = join(half, packed);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${spec}: the registry's file has ${found}, expected ${integrity}`);
    execFileSync('tar', ['-xzf', archive, '-C', half]);
    renameSync(half, home);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
  return join(home, 'package');
}

// Every client with every server, in every protocol: {ours, Debian's} × {ours, Debian's} × {1, 2, 3}, with nothing compiled
// here in place of there. And what the two clients send, side by side.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import type { Request } from '../../src/distcc/request.ts';
import { serveDistcc } from '../../src/distcc/server.ts';
import { oneBox, type OneBox } from '../client/one-box.ts';
import { serveIncludes } from './include-server.ts';
import { spawnDistcc, startOurs, startStock, type Daemon } from './programs.ts';

const header = '#define OWN 42\n#define LEFT(name) int left_##name\n';
const sources = {
  'c.c':
    '#include <stdio.h>\n#include "own.h"\nint main(void) {\n  LEFT(a);\n  int plain;\n  printf("%d %d\\n", OWN, __LINE__);\n  return 0;\n}\n',
  'cpp.cpp':
    '#include <map>\n#include <string>\n#include "own.h"\nstd::map<std::string, int> m{{"a", OWN}};\nint f() { LEFT(b); return m["a"]; }\n',
  'objc.m':
    '#include "own.h"\n__attribute__((objc_root_class)) @interface Thing { int value; }\n- (int)value;\n@end\n@implementation Thing\n- (int)value { LEFT(c); return OWN; }\n@end\n',
} as const;
type Source = keyof typeof sources;
const names = Object.keys(sources) as Source[];
const compilers: Readonly<Record<Source, string>> = { 'c.c': 'gcc', 'cpp.cpp': 'g++', 'objc.m': 'gcc' };
const options = { 1: '', 2: ',lzo', 3: ',lzo,cpp' } as const;
type Protocol = keyof typeof options;
const protocols = [1, 2, 3] as const;

let box: OneBox;
let directory = '';
const servers = new Map<'ours' | 'stock', Daemon>();

before(async () => {
  box = await oneBox('matrix');
  // Stock distccd's user has to get through to its own directory.
  directory = mkdtempSync(join(tmpdir(), 'shoal-matrix-'));
  chmodSync(directory, 0o755);
  for (const place of ['inc', 'out', 'ours']) mkdirSync(join(directory, place));
  writeFileSync(join(directory, 'inc/own.h'), header);
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(directory, name), text);
  servers.set('ours', await startOurs({ directory: join(directory, 'ours') }));
  servers.set('stock', await startStock({ directory }));
});
after(async () => {
  for (const server of servers.values()) await server.stop();
  await box.remove();
  rmSync(directory, { recursive: true, force: true });
});

type Compiled = {
  readonly status: number | null;
  readonly stderr: string;
  readonly object: Buffer | undefined;
  readonly dependencies: string | undefined;
};

function wordsOf(source: Source, more: readonly string[]): string[] {
  return [compilers[source], '-O2', '-Wall', '-Iinc', ...more, '-c', source, '-o', 'out/x.o'];
}

function collected(status: number | null, stderr: string): Compiled {
  const take = (name: string): Buffer | undefined => {
    const path = join(directory, name);
    const bytes = existsSync(path) ? readFileSync(path) : undefined;
    rmSync(path, { force: true });
    return bytes;
  };
  const compiled = { status, stderr, object: take('out/x.o'), dependencies: take('out/x.d')?.toString() };
  // Where stock distcc's preprocessing leaves its dependencies, which go by the name of the output.
  for (const name of ['c.d', 'cpp.d', 'objc.d']) rmSync(join(directory, name), { force: true });
  return compiled;
}

// Of a locale, servers have their own; here it is that of this process, for all.
const locale = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(?:LANG|LC_)/.test(name)));

function locally(argv: readonly string[]): Compiled {
  const [file = '', ...args] = argv;
  const { status, stderr } = spawnSync(file, args, {
    cwd: directory,
    env: { ...locale, PATH: '/usr/bin:/bin' },
    encoding: 'utf8',
  });
  return collected(status, stderr);
}

async function byStock(hosts: string, argv: readonly string[], source: Source): Promise<Compiled> {
  if (!hosts.includes(',cpp')) {
    const { status, stderr } = await spawnDistcc({ cwd: directory, hosts, argv });
    return collected(status, stderr);
  }
  const includes = await serveIncludes([source, 'inc/own.h'].map((path) => join(directory, path)));
  try {
    const env = { INCLUDE_SERVER_PORT: includes.socket };
    const { status, stderr } = await spawnDistcc({ cwd: directory, hosts, argv, env });
    return collected(status, stderr);
  } finally {
    includes.close();
  }
}

async function byOurs(hosts: string, argv: readonly string[]): Promise<Compiled> {
  const line = `cd ${directory} && ${argv.join(' ')} 2>stderr`;
  const env = { SHOAL_HOSTS: `distcc://${hosts}`, SHOAL_STRICT: '1', DISTCC_SKIP_LOCAL_RETRY: '1' };
  const { ran, summary } = await box.built(line, env);
  assert.deepEqual([summary.remote, summary.local], [1, 0], ran.stderr);
  return collected(ran.status, readFileSync(join(directory, 'stderr'), 'utf8'));
}

type Combination = {
  readonly client: 'ours' | 'stock';
  readonly server: 'ours' | 'stock';
  readonly protocol: Protocol;
};

function compile({ client, server, protocol }: Combination, source: Source, more: readonly string[]) {
  const hosts = `127.0.0.1:${servers.get(server)?.port ?? 0}/2${options[protocol]}`;
  const argv = wordsOf(source, more);
  return client === 'ours' ? byOurs(hosts, argv) : byStock(hosts, argv, source);
}

const pairs = (['ours', 'stock'] as const).flatMap((client) =>
  (['ours', 'stock'] as const).map((server) => ({ client, server })),
);

for (const protocol of protocols) {
  for (const source of names) {
    test(`protocol ${protocol}, ${source}: objects are the local ones, diagnostics ${protocol === 3 ? 'too' : 'those of stock and stock'}`, async () => {
      const local = locally(wordsOf(source, ['-MMD']));
      const stock = await compile({ client: 'stock', server: 'stock', protocol }, source, ['-MMD']);
      const expected = protocol === 3 ? local : stock;
      assert.match(expected.stderr, /unused variable/);
      for (const pair of pairs) {
        const compiled = await compile({ ...pair, protocol }, source, ['-MMD']);
        const what = `${pair.client} client, ${pair.server} server`;
        assert.equal(compiled.status, 0, what);
        assert.ok(compiled.object !== undefined && local.object !== undefined, what);
        assert.ok(compiled.object.equals(local.object), what);
        assert.equal(compiled.stderr, expected.stderr, what);
        if (pair.client === 'ours') assert.equal(compiled.dependencies, local.dependencies, what);
      }
    });

    test(`protocol ${protocol}, ${source}: debug information is that of stock and stock, or the local one`, async () => {
      const local = locally(wordsOf(source, ['-g']));
      const stock = await compile({ client: 'stock', server: 'stock', protocol }, source, ['-g']);
      for (const pair of pairs) {
        const { object } = await compile({ ...pair, protocol }, source, ['-g']);
        const what = `${pair.client} client, ${pair.server} server`;
        // In protocol 3 stock distccd names the temporary directory in which it compiled: another each time.
        if (protocol === 3 && pair.server === 'stock') continue;
        const expected = protocol === 3 ? local.object : stock.object;
        assert.ok(object !== undefined && expected !== undefined && object.equals(expected), what);
      }
    });
  }
}

test('an error is said by the server, in the same words by all', async () => {
  writeFileSync(join(directory, 'c.c'), '#include "own.h"\nint f(void) { return nothing + OWN; }\n');
  try {
    for (const protocol of protocols) {
      const ends = [];
      for (const pair of pairs) ends.push(await compile({ ...pair, protocol }, 'c.c', []));
      for (const end of ends) assert.deepEqual(end, ends[0], String(protocol));
      assert.equal(ends[0]?.status, 1);
      assert.match(ends[0]?.stderr ?? '', /error: \S+ undeclared/);
    }
  } finally {
    writeFileSync(join(directory, 'c.c'), sources['c.c']);
  }
});

// Not with --target: stock distcc overrides it by one of its own.
const lines = [
  'gcc -O2 -Iinc -c c.c',
  'gcc -g -Wall -Iinc -DX=1 -UY -D Z=2 -MD -MF out/x.d -c c.c -o out/x.o',
  'g++ -std=gnu++17 -Iinc -isystem inc -include inc/own.h -Wp,-DQ -c cpp.cpp -o out/x.o',
  'gcc -Iinc -iquote inc -S c.c',
  'cc -Iinc -L. -lfoo -Wl,-z -c ./c.c -oout/x.o',
  'gcc-12 -Iinc -ffile-prefix-map=/tmp=x -frecord-gcc-switches -c objc.m -o out/x.o',
  'clang -Iinc -O1 -g -c c.c -o out/x.o',
  'clang++ -Iinc -std=c++17 -c cpp.cpp -o out/x.o',
];

test('in protocols 1 and 2 both clients send the same bytes', async () => {
  const seen: Request[] = [];
  let output = Buffer.alloc(0);
  const noBytes = Buffer.alloc(0);
  const server = await serveDistcc({
    listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    allows: () => true,
    compile: async (request) => {
      seen.push(request);
      return {
        version: request.version,
        waitStatus: 0,
        stderr: noBytes,
        stdout: noBytes,
        output,
        dependencies: noBytes,
      };
    },
    on: () => undefined,
  });
  try {
    for (const line of lines) {
      const argv = line.split(' ');
      const made = /-S/.test(line) ? 'c.s' : line.includes('out/x.o') ? 'out/x.o' : 'c.o';
      spawnSync(argv[0] ?? '', argv.slice(1), { cwd: directory });
      output = readFileSync(join(directory, made));
      for (const lzo of ['', ',lzo']) {
        seen.length = 0;
        const hosts = `127.0.0.1:${server.ports[0] ?? 0}/2${lzo}`;
        assert.equal((await spawnDistcc({ cwd: directory, hosts, argv })).status, 0, line);
        assert.equal((await byOurs(hosts, argv)).status, 0, line);
        assert.deepEqual(seen[1], seen[0], line);
      }
      rmSync(join(directory, made), { force: true });
    }
  } finally {
    await server.stop();
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClosureRequest, ClosureResult, IncludeView } from '../../src/includes/types.ts';
import { FileChangedError } from '../../src/includes/types.ts';
import { createIncludeView } from '../../src/includes/view.ts';
import { memoryFiles, type MemoryFiles } from './memory-files.ts';

type Changes = Partial<Omit<ClosureRequest, 'epoch'>>;

type Scene = MemoryFiles & {
  readonly view: IncludeView;
  /** The closure of /p/a.c in an epoch of its own. */
  readonly ask: (changes?: Changes) => ClosureResult;
  readonly request: (changes?: Changes) => ClosureRequest;
};

const toolchain = {
  key: 'gcc',
  isInside: (path: string) => path === '/usr/include' || path.startsWith('/usr/include/'),
};

function scene(content: Readonly<Record<string, string>>): Scene {
  const memory = memoryFiles();
  for (const [path, text] of Object.entries(content)) {
    if (text.startsWith('-> ')) memory.link(path, text.slice(3));
    else memory.write(path, text);
  }
  memory.sleep(1000);
  const view = createIncludeView(memory.files, memory.nowNs);
  let epoch = 0;
  const request = (changes: Changes = {}): ClosureRequest => ({
    epoch: ++epoch,
    cwd: '/p',
    source: 'a.c',
    forced: [],
    extraInputs: [],
    quoteDirs: [],
    searchDirs: ['inc', '/usr/include'],
    macros: [],
    toolchain,
    sourceDateEpoch: false,
    preprocessed: false,
    ...changes,
  });
  return { ...memory, view, request, ask: (changes) => view.closure(request(changes)) };
}

function paths(result: ClosureResult): string[] {
  assert.equal(verdict(result), 'closure');
  return result.kind === 'closure' ? result.files.map((file) => file.path).toSorted() : [];
}

function links(result: ClosureResult): string[] {
  return result.kind === 'closure' ? result.symlinks.map(({ path, target }) => `${path} -> ${target}`).toSorted() : [];
}

function directories(result: ClosureResult): string[] {
  return result.kind === 'closure' ? result.directories.map(({ path }) => path).toSorted() : [];
}

function verdict(result: ClosureResult): string {
  return result.kind === 'here' ? `${result.reason} ${result.detail}` : 'closure';
}

test('every candidate that exists is taken, in whatever directory', () => {
  const { ask } = scene({
    '/p/a.c': '#include "x.h"',
    '/p/x.h': '',
    '/p/inc/x.h': '#include <y.h>',
    '/p/inc/y.h': '',
    '/p/y.h': '',
  });
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/inc/x.h', '/p/inc/y.h', '/p/x.h']);
});

test('what macros ask for is taken, whichever way they ask', () => {
  for (const [why, files] of Object.entries({
    'a call': { '/p/a.c': '#define HAS(x) __has_include(x)\n#if HAS("x.h")\n#endif' },
    'another name': { '/p/a.c': '#define HAS __has_include\n#if HAS("x.h")\n#endif' },
    'a name of its name': { '/p/a.c': '#define A __has_include\n#define HAS A\n#if HAS("x.h")\n#endif' },
    'a macro of it': {
      '/p/a.c':
        '#define HAS(x) (defined(__has_include) && __has_include(x))\n#define W(y) HAS(y)\n#if 1 && W(<x.h>)\n#endif',
    },
    'a macro without parentheses': {
      '/p/a.c': '#define HAS(x) __has_include(x)\n#define GOT_X HAS("x.h")\n#if GOT_X\n#endif',
    },
    'a name made a string': { '/p/a.c': '#define HAS(x) __has_include(#x)\n#if HAS(x.h)\n#endif' },
    'a part of the name': { '/p/a.c': '#define HAS(x) __has_include(<x.h>)\n#elif HAS( /* it */ d/x)\n#endif' },
    'parentheses within': {
      '/p/a.c': '#define S_(x) #x\n#define S(x) S_(x)\n#if __has_include(S(x.h))\n#endif',
    },
    'a definition elsewhere': {
      '/p/a.c': '#if HAS("x.h")\n#endif\n#include <d.h>',
      '/p/inc/d.h': '#include "e.h"\n#if A\n#define HAS(x) 0\n#else\n#define HAS WITH(__has_include)\n#endif',
      '/p/inc/e.h': '#define WITH(x) x',
    },
    'a line of several': {
      '/p/a.c': '#define HAS(x) \\\n __has_include(x)\n#if A && \\\n /* b\n c */ HAS("x.h")\n#endif',
    },
  } satisfies Record<string, Record<string, string>>)) {
    assert.ok(
      paths(scene({ '/p/inc/d/x.h': '', '/p/x.h': '', ...files }).ask()).some((path) => path.endsWith('x.h')),
      why,
    );
  }
  const { ask } = scene({ '/p/a.c': '#if HAS("x.h")\n#endif', '/p/x.h': '' });
  assert.deepEqual(paths(ask({ macros: [{ kind: 'define', text: 'HAS(x)=__has_include(x)' }] })), ['/p/a.c', '/p/x.h']);
});

test('what a macro asks for and cannot be told keeps the compile at home', () => {
  const { ask } = scene({ '/p/a.c': '#define HAS(x) __has_include(x)\n#if HAS(__FILE__)\n#endif' });
  assert.equal(verdict(ask()), 'computed-include /p/a.c: HAS(__FILE__)');
});

test('a header that a macro asks for is noticed when it comes', () => {
  const { ask, write, sleep } = scene({ '/p/a.c': '#define HAS(x) __has_include(x)\n#if HAS("x.h")\n#endif' });
  assert.deepEqual(paths(ask()), ['/p/a.c']);
  sleep(1000);
  write('/p/x.h', '');
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/x.h']);
});

test('a second compile of known headers reads and lists nothing, and stats each once', () => {
  const { ask, diary, view, request } = scene({
    '/p/a.c': '#include <x.h>\n#include <s.h>',
    '/p/inc/x.h': '#include "n.h"',
    '/usr/include/s.h': '#include <t.h>',
    '/usr/include/t.h': '',
  });
  const first = ask();
  diary();
  const second = ask();
  assert.deepEqual(diary().toSorted(), [
    'stat /',
    'stat /p',
    'stat /p/a.c',
    'stat /p/inc',
    'stat /p/inc/x.h',
    'stat /usr',
  ]);
  assert.deepEqual(first, second);
  const third = request();
  view.closure(third);
  diary();
  view.closure(third);
  assert.deepEqual(diary(), ['stat /p/a.c'], 'nothing but the source is looked at twice in an epoch');
});

test('an entry is the same object until its file changes', () => {
  const { ask, write, sleep } = scene({ '/p/a.c': '#include "x.h"', '/p/x.h': 'old' });
  const entryOf = (result: ClosureResult, path: string): unknown =>
    result.kind === 'closure' ? result.files.find((file) => file.path === path) : undefined;
  const first = ask();
  write('/p/x.h', 'new');
  sleep(1000);
  const second = ask();
  assert.equal(entryOf(first, '/p/a.c'), entryOf(second, '/p/a.c'));
  assert.notEqual(entryOf(first, '/p/x.h'), entryOf(second, '/p/x.h'));
});

test('a changed header is read again, and its new includes are followed', () => {
  const { ask, write, sleep } = scene({ '/p/a.c': '#include "x.h"', '/p/x.h': '', '/p/y.h': '' });
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/x.h']);
  sleep(1000);
  write('/p/x.h', '#include "y.h"');
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/x.h', '/p/y.h']);
});

test('a header that appears where it was looked for is taken, and one that goes is left out', () => {
  const { ask, write, remove, sleep } = scene({ '/p/a.c': '#include <x.h>', '/p/inc/y.h': '' });
  assert.deepEqual(paths(ask()), ['/p/a.c']);
  sleep(1000);
  write('/p/inc/x.h', '');
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/inc/x.h']);
  sleep(1000);
  remove('/p/inc/x.h');
  assert.deepEqual(paths(ask()), ['/p/a.c']);
});

test('a search directory that appears is searched', () => {
  const { ask, write, sleep } = scene({ '/p/a.c': '#include <x.h>' });
  assert.deepEqual(directories(ask()), ['/p']);
  sleep(1000);
  write('/p/inc/x.h', '');
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/inc/x.h']);
});

test('an object file that appears in a searched directory changes nothing', () => {
  const { ask, write, sleep, view } = scene({ '/p/a.c': '#include "x.h"', '/p/x.h': '' });
  ask();
  const before = view.counts().generation;
  sleep(1000);
  write('/p/a.o', '');
  ask();
  assert.equal(view.counts().generation, before);
});

test('a file written within a tick of its reading is not trusted', () => {
  const { ask, write, smuggle, sleep } = scene({ '/p/a.c': '#include "x.h"', '/p/y.h': '' });
  write('/p/x.h', '/* ---------- */');
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/x.h']);
  smuggle('/p/x.h', '#include "y.h"//');
  sleep(1000);
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/x.h', '/p/y.h'], 'its times are the same');
});

test('a directory that changed within a tick of its listing is not trusted', () => {
  const memory = memoryFiles();
  memory.write('/p/a.c', '#include <x.h>');
  memory.mkdir('/p/inc');
  const view = createIncludeView(memory.files, memory.nowNs);
  const { request } = scene({});
  assert.deepEqual(paths(view.closure(request())), ['/p/a.c']);
  memory.write('/p/inc/x.h', '');
  assert.deepEqual(paths(view.closure(request())), ['/p/a.c', '/p/inc/x.h']);
});

test('links are passed as links, and .. behind one is the parent of its target', () => {
  const result = scene({
    '/p/a.c': '#include "l/../x.h"',
    '/p/l': '-> deep/er',
    '/p/deep/er/y.h': '',
    '/p/deep/x.h': '#include "z.h"',
    '/p/deep/z.h': '-> ../z.real',
    '/p/z.real': '#include "w.h"',
    '/p/deep/w.h': '',
    '/p/x.h': '',
  }).ask();
  assert.deepEqual(paths(result), ['/p/a.c', '/p/deep/w.h', '/p/deep/x.h', '/p/z.real']);
  assert.deepEqual(links(result), ['/p/deep/z.h -> ../z.real', '/p/l -> deep/er']);
  assert.deepEqual(directories(result), ['/p', '/p/deep', '/p/deep/er']);
});

test('a link that is turned elsewhere is followed anew', () => {
  const { ask, link, remove, sleep } = scene({
    '/p/a.c': '#include "x.h"',
    '/p/x.h': '-> y.h',
    '/p/y.h': '',
    '/p/z.h': '',
  });
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/y.h']);
  sleep(1000);
  remove('/p/x.h');
  link('/p/x.h', 'z.h');
  assert.deepEqual(paths(ask()), ['/p/a.c', '/p/z.h']);
});

test('links that lead in a circle lead nowhere', () => {
  assert.deepEqual(paths(scene({ '/p/a.c': '#include "x.h"', '/p/x.h': '-> y.h', '/p/y.h': '-> x.h' }).ask()), [
    '/p/a.c',
  ]);
});

test('an empty directory that is passed or searched is part of the tree, an absent one is not', () => {
  const { ask, mkdir } = scene({ '/p/a.c': '#include "e/../x.h"', '/p/x.h': '' });
  mkdir('/p/e');
  mkdir('/p/s');
  assert.deepEqual(directories(ask({ searchDirs: ['s', 'absent'] })), ['/p', '/p/e', '/p/s']);
});

test('headers of the toolchain are read for what they include outside it, but are no entries', () => {
  const { ask } = scene({
    '/p/a.c': '#include <s.h>',
    '/usr/include/s.h': '#include_next <limits.h>',
    '/usr/include/limits.h': '',
    '/p/inc/limits.h': '',
  });
  const result = ask();
  assert.deepEqual(paths(result), ['/p/a.c', '/p/inc/limits.h']);
  assert.deepEqual(directories(result), ['/p', '/p/inc', '/usr']);
});

test('another toolchain looks at its own files again', () => {
  const { ask, write, sleep } = scene({ '/p/a.c': '#include <s.h>', '/usr/include/s.h': '', '/p/inc/x.h': '' });
  ask();
  sleep(1000);
  write('/usr/include/s.h', '#include <x.h>');
  assert.deepEqual(paths(ask()), ['/p/a.c']);
  assert.deepEqual(paths(ask({ toolchain: { ...toolchain, key: 'newer gcc' } })), ['/p/a.c', '/p/inc/x.h']);
});

test('forced includes start in the working directory, other inputs are not read for includes', () => {
  const { ask } = scene({
    '/p/s/a.c': '',
    '/p/f.h': '#include "g.h"',
    '/p/g.h': '',
    '/p/inc/f.h': '',
    '/p/i.txt': '#include "g.h"',
  });
  assert.deepEqual(paths(ask({ source: 's/a.c', forced: ['f.h'] })), ['/p/f.h', '/p/g.h', '/p/inc/f.h', '/p/s/a.c']);
  assert.deepEqual(paths(ask({ source: 's/a.c', extraInputs: ['i.txt', 'missing', 'inc'] })), ['/p/i.txt', '/p/s/a.c']);
});

test('includes made by macros follow definitions of the whole closure and of the command line', () => {
  const { ask } = scene({
    '/p/a.c': '#include "x.h"\n#include NAME\n#include OTHER\n',
    '/p/x.h': '#define NAME S(n.h)\n#define S(x) #x\n',
    '/p/n.h': '#define OTHER <o.h>',
    '/p/inc/o.h': '',
    '/p/inc/q.h': '',
  });
  assert.deepEqual(paths(ask({ macros: [{ kind: 'define', text: 'OTHER="q.h"' }] })), [
    '/p/a.c',
    '/p/inc/o.h',
    '/p/inc/q.h',
    '/p/n.h',
    '/p/x.h',
  ]);
});

test('what keeps a compile at home is named with its place', () => {
  const of = (text: string, changes?: Changes, more = {}): string =>
    verdict(scene({ '/p/a.c': text, ...more }).ask(changes));
  assert.equal(of('\n#include _NAME'), 'computed-include /p/a.c:2: _NAME');
  assert.equal(of('\n#include NAME'), 'closure');
  assert.equal(of('x = __TIME__;'), 'timestamp-macro /p/a.c:1');
  assert.equal(of('x = __TIME__;', { sourceDateEpoch: true }), 'closure');
  assert.equal(of('x = __TIMESTAMP__;', { sourceDateEpoch: true }), 'timestamp-macro /p/a.c:1');
  assert.equal(of('', { macros: [{ kind: 'define', text: 'D=__DATE__' }] }), 'timestamp-macro -D D=__DATE__');
  assert.equal(of('asm(".incbin \\"" F "\\"")'), 'incbin /p/a.c:1');
  assert.equal(of('#pragma GCC dependency "x"'), 'pragma-dependency /p/a.c:1');
  assert.equal(of('#include "x.h"', {}, { '/p/x.h.gch': '' }), 'precompiled-header /p/x.h.gch');
  assert.equal(of('', { forced: ['x.h'] }, { '/p/x.h': '', '/p/x.h.pch': '' }), 'precompiled-header /p/x.h.pch');
  assert.equal(of('', { source: 'b.c' }), 'source-missing b.c');
});

test('names that are not UTF-8 keep the compile at home', () => {
  const { view, request, write, sleep } = scene({ '/p/b.c': '#include "d/x.h"', '/p/d': '-> gr\ufffdn' });
  assert.equal(verdict(view.closure(request({ source: 'b.c' }))), 'path-encoding /p/d');
  write('/p/c.c', '#include "gr\ufffdn.h"');
  sleep(1000);
  assert.equal(verdict(view.closure(request({ source: 'c.c' }))), 'path-encoding /p/c.c:1');
});

test('gcc begins with stdc-predef.h, by the search path', () => {
  assert.deepEqual(paths(scene({ '/p/a.c': '', '/p/inc/stdc-predef.h': '' }).ask()), [
    '/p/a.c',
    '/p/inc/stdc-predef.h',
  ]);
});

test('a precompiled header that appears later is seen', () => {
  const { ask, mkdir, sleep } = scene({ '/p/a.c': '#include "x.h"', '/p/x.h': '' });
  assert.equal(verdict(ask()), 'closure');
  sleep(1000);
  mkdir('/p/x.h.gch');
  assert.equal(verdict(ask()), 'precompiled-header /p/x.h.gch');
});

test('what is no regular file, or cannot be read, keeps the compile at home and is not opened', () => {
  const { ask, special, diary } = scene({ '/p/a.c': '#include "x.h"' });
  special('/p/x.h');
  assert.equal(verdict(ask()), 'special-input /p/x.h');
  assert.ok(!diary().includes('read /p/x.h'));
  const second = scene({ '/p/a.c': '#include "x.h"', '/p/x.h': '' });
  second.forbid('/p/x.h');
  assert.equal(verdict(second.ask()), 'header-unreadable /p/x.h');
});

test('preprocessed text includes nothing, but the files it came from are quoted in warnings', () => {
  const { ask } = scene({
    '/p/a.i': '# 1 "a.c"\n#include "x.h"\nx = __DATE__;',
    '/p/a.c': '#include NAME',
    '/p/x.h': '',
  });
  assert.deepEqual(paths(ask({ source: 'a.i', preprocessed: true })), ['/p/a.c', '/p/a.i']);
});

test('bytes are those of the version, or none', () => {
  const { ask, write, sleep } = scene({ '/p/a.c': 'one' });
  const result = ask();
  assert.ok(result.kind === 'closure');
  sleep(1000);
  write('/p/a.c', 'two');
  assert.equal(result.source.bytes().toString(), 'one', 'still at hand');
  assert.equal(result.source.digest.sizeBytes, 3);
  ask();
  assert.throws(() => result.source.bytes(), FileChangedError);
});

test('entries of other jobs that went, or became something else, are named', () => {
  const { ask, request, view, remove, link, write, sleep } = scene({
    '/p/a.c': '#include "x.h"\n#include "y.h"\n#include "l.h"',
    '/p/x.h': '',
    '/p/y.h': '',
    '/p/l.h': '-> x.h',
    '/p/inc/z.h': '',
  });
  const result = ask();
  assert.ok(result.kind === 'closure');
  const all = [...result.files, ...result.symlinks, ...result.directories];
  assert.deepEqual(view.vanished(all, request().epoch), []);
  sleep(1000);
  remove('/p/x.h');
  remove('/p/l.h');
  link('/p/l.h', 'y.h');
  write('/p/y.h', 'new content');
  remove('/p/inc/z.h');
  remove('/p/inc');
  assert.deepEqual(
    view.vanished(all, request().epoch).map((entry) => entry.path),
    ['/p/x.h', '/p/l.h', '/p/inc'],
  );
});

test('a later process takes over what is known, unless a byte of it is wrong', () => {
  const { ask, view, files, nowNs, request, diary } = scene({
    '/p/a.c': '#include <x.h>\n#include <s.h>',
    '/p/inc/x.h': '',
    '/usr/include/s.h': '',
  });
  const first = ask();
  assert.ok(first.kind === 'closure');
  const digests = first.files.map((file) => file.digest.hash);
  const saved = view.save();
  diary();
  const later = createIncludeView(files, nowNs);
  assert.equal(later.load(saved), true);
  const again = later.closure(request());
  assert.ok(again.kind === 'closure');
  assert.deepEqual(
    again.files.map((file) => file.digest.hash),
    digests,
  );
  assert.deepEqual(
    diary().filter((line) => line.startsWith('read')),
    [],
  );
  for (const at of [0, 20, 90, saved.length - 1]) {
    const broken = Buffer.from(saved);
    broken[at] = (broken[at] ?? 0) ^ 1;
    assert.equal(createIncludeView(files, nowNs).load(broken), false, `byte ${at}`);
  }
  assert.equal(createIncludeView(files, nowNs).load(saved.subarray(0, 100)), false);
});

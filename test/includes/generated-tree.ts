// Small trees of headers that include each other in every way the preprocessor knows, some of them through links. Wrong
// names are welcome: with -MG the compilers go on past a missing header.
import fc from 'fast-check';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type GeneratedTree = {
  readonly files: ReadonlyMap<string, string>;
  readonly links: ReadonlyMap<string, string>;
  readonly directories: readonly string[];
};

const directories = ['', 'a', 'a/b', 'inc', 'inc/sub', 'sys'] as const;
const names = ['x.h', 'y.h', 'z.h', 'w.h'] as const;
export const generatedSearch = ['inc', 'sys', 'la', '.'] as const;

const directory = fc.constantFrom(...directories);
const header = fc.constantFrom(...names);
const spelling = fc
  .tuple(fc.constantFrom('', '', '', '../', './', 'a/../', 'a/', 'sub/', 'la/', 'la/../', 'b/', 'inc/'), header)
  .map((pair) => pair.join(''));

const operand = fc.oneof(
  { weight: 5, arbitrary: spelling.map((name) => `"${name}"`) },
  { weight: 3, arbitrary: spelling.map((name) => `<${name}>`) },
  { weight: 2, arbitrary: fc.constantFrom('M1', 'M2', 'STR(D1/x.h)', 'STR(D2)', 'CAT(M, 1)', 'ANGLE(D1/z.h)') },
);

/** How else an include may begin. */
export const oddIncludes = [
  '#import ',
  '%:include ',
  '#/* c */include /* d\n */',
  '#inc\\\nlude ',
  '#include \\\n',
  ' /**/ #\tinclude ',
] as const;

const directive = fc
  .tuple(fc.constantFrom('#include ', '#include ', '# include_next ', ...oddIncludes), operand)
  .map((parts) => parts.join(''));

const definition = fc.oneof(
  fc.tuple(fc.constantFrom('M1', 'M2'), operand).map(([name, value]) => `#undef ${name}\n#define ${name} ${value}`),
  fc
    .oneof(
      // Stands for a directory. clang also looks at a file in its place, which is as good as nothing and in no closure: a
      // build's own program may be called as a directory of headers.
      fc.tuple(fc.constant('D1'), fc.constantFrom('a', 'a/b', '.', 'inc', 'D1', 'la')),
      fc.tuple(fc.constant('D2'), fc.constantFrom('a', 'a/b', '.', 'inc', 'y.h', 'D1', 'D2', 'la')),
    )
    .map(([name, value]) => `#undef ${name}\n#define ${name} ${value}`),
);

const line: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: directive },
  { weight: 2, arbitrary: definition },
  {
    weight: 1,
    arbitrary: fc.tuple(spelling, directive).map(([name, then]) => `#if __has_include("${name}")\n${then}\n#endif`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('M1', 'D2'), directive)
      .map(([name, then]) => `#ifdef ${name}\n${then}\n#endif`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '#pragma once',
      'const char *s = "/*";',
      "char c = '\"';",
      '// \\\n comment',
      'int a; /* \n */ int b;',
    ),
  },
);

const helpers =
  '#ifndef STR\n#define STR(x) STR_(x)\n#define STR_(x) #x\n#define CAT(a, b) a ## b\n#define ANGLE(x) <x>\n#endif\n';

const linesOf = (minLength: number): fc.Arbitrary<string> =>
  fc.array(line, { minLength, maxLength: minLength + 4 }).map((lines) => `${lines.join('\n')}\n`);

// A guard per file ends what would include itself for ever.
function guarded(path: string, text: string): string {
  const guard = `G_${path.replace(/\W/g, '_')}`;
  return `#ifndef ${guard}\n#define ${guard}\n${text}#endif\n`;
}

export const generatedTrees: fc.Arbitrary<GeneratedTree> = fc
  .record({
    source: linesOf(6),
    headers: fc.array(fc.tuple(directory, header, linesOf(1)), { minLength: 12, maxLength: 24 }),
    fileLinks: fc.array(fc.tuple(directory, header, fc.tuple(directory, header)), { maxLength: 2 }),
    target: fc.constantFrom('a', 'a/b', 'inc/sub'),
  })
  .map(({ source, headers, fileLinks, target }) => {
    const files = new Map([['a.c', helpers + source]]);
    for (const [at, name, text] of headers) files.set(join(at, name), guarded(join(at, name), text));
    const links = new Map<string, string>([['la', target]]);
    for (const [at, name, to] of fileLinks) {
      const path = join(at, name);
      const up = at === '' ? '' : '../'.repeat(at.split('/').length);
      if (!files.has(path)) links.set(path, up + join(...to));
    }
    return { files, links, directories: [...directories] };
  });

export function layOutTree(root: string, tree: GeneratedTree): void {
  for (const path of tree.directories) mkdirSync(join(root, path), { recursive: true });
  for (const [path, text] of tree.files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const [path, target] of tree.links) symlinkSync(target, join(root, path));
}

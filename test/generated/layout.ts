// Where the headers of a generated program are, by what directories they are searched for, and how an #include may
// spell the way to one of them: most ways lead there, some to a namesake, a few to nothing.
import { posix } from 'node:path';
import type { Choices } from './choices.ts';

export type Layout = {
  readonly source: string;
  /** Each with the directory that it stands in. */
  readonly headers: readonly string[];
  readonly links: Readonly<Record<string, string>>;
  /** It may have mistakes. */
  readonly isWild: boolean;
  readonly isAssembly: boolean;
  /** What is searched for <…> and "…", and for "…" only, as paths from the root. */
  readonly searched: readonly string[];
  readonly quoted: readonly string[];
  readonly searchOptions: readonly string[];
};

export const directories = ['a', 'a/b', 'inc', 'inc/sub', 'sys', 'late', 'last', 'src'] as const;
const names = ['x.h', 'x.h', 'y.h', 'y.h', 'z.h', 'w.h', 'limits.h', 'stddef.h', 'odd name.h', 'ü.h'] as const;

export function makeLayout(choices: Choices, suffix: string): Layout {
  const isAssembly = suffix === '.S';
  const headers = new Set<string>();
  const wanted = 7 + choices.upTo(9);
  for (let tries = 0; headers.size < wanted && tries < 60; tries += 1) {
    const at = choices.from([
      '',
      ...directories.filter((name) => name !== 'src' && name !== 'last'),
      'inc',
      'sys',
      'a',
    ]);
    headers.add(posix.join(at, choices.from(names)));
  }
  const links: Record<string, string> = { la: choices.from(['a', 'a/b', 'inc/sub', '@ROOT@/inc']) };
  for (let count = choices.upTo(2); count > 0; count -= 1) {
    const path = posix.join(choices.from(['', 'inc', 'sys', 'a']), choices.from(names));
    const up = posix.relative(posix.dirname(path), '.') || '.';
    const target = choices.chance(10) ? 'nowhere.h' : posix.join(up, choices.from([...headers]));
    if (!headers.has(path)) links[path] = target;
  }
  const isWild = choices.chance(8);
  const source = `${choices.chance(25) ? 'src/' : ''}m${suffix}`;
  return { source, headers: [...headers], links, isAssembly, isWild, ...makeSearch(choices, isWild) };
}

const searchForms = ['-I', '-I', '-I', '-iquote', '-isystem', '-idirafter'] as const;

function makeSearch(choices: Choices, isWild: boolean): Pick<Layout, 'searched' | 'quoted' | 'searchOptions'> {
  const searched: string[] = [];
  const quoted: string[] = [];
  const searchOptions: string[] = [];
  const places = ['inc', 'sys', '.', 'a', 'la', 'late', 'a/b', 'inc/sub', 'none', 'a/../inc', 'inc/', 'la/..'] as const;
  for (let count = 2 + choices.upTo(4); count > 0; count -= 1) {
    const place = choices.chance(60) ? choices.from(['inc', 'sys', '.', 'a', 'late'] as const) : choices.from(places);
    const form = choices.from(searchForms);
    const spelled = choices.chance(12) ? `@ROOT@/${place}` : place;
    if (choices.chance(10) && form !== '-I') searchOptions.push(form, spelled);
    else searchOptions.push(`${form}${spelled}`);
    const path = posix.normalize(place).replace(/\/$/, '');
    if (!place.startsWith('la')) (form === '-iquote' ? quoted : searched).push(path);
  }
  if (choices.chance(15))
    searchOptions.push('-iprefix', 'inc/', choices.from(['-iwithprefix', '-iwithprefixbefore']), 'sub');
  // For the last directory of all there is no next one.
  if (!isWild) searchOptions.push('-idirafter', 'last');
  return { searched, quoted, searchOptions };
}

/** Links that lead to headers. */
function aliases({ links, isWild }: Layout): string[] {
  return Object.keys(links).filter((path) => path.endsWith('.h') && (isWild || links[path] !== 'nowhere.h'));
}

/** The operand of an #include in the file at `from`. */
export function operandFor(choices: Choices, layout: Layout, from: string): string {
  if (layout.isWild && choices.chance(1)) {
    return choices.from(['"none.h"', '<none/x.h>', '"x.h/y.h"', '"inc"', '""', '<x.h']);
  }
  if (!layout.isAssembly && choices.chance(4))
    return choices.from(['<stddef.h>', '<limits.h>', '<stdint.h>', '<stdarg.h>']);
  const target = choices.from([...layout.headers, ...aliases(layout)]);
  const waysBy = (places: readonly string[]): string[] =>
    places
      .filter((place) => place === '.' || target.startsWith(`${place}/`))
      .map((place) => posix.relative(place, target));
  const angled = waysBy(layout.searched);
  // What is beside a file depends on the link that it was reached by.
  const isLinked = aliases(layout).some(
    (alias) => posix.join(posix.dirname(alias), layout.links[alias] ?? '') === from,
  );
  const close = isLinked && !layout.isWild ? `@ROOT@/${target}` : posix.relative(posix.dirname(from), target);
  const way = choices.chance(45) ? close : choices.from([close, ...angled, ...waysBy(layout.quoted)]);
  const spelled = choices.weighted<(path: string) => string>(
    way.startsWith('@')
      ? [[1, (path) => path]]
      : [
          [20, (path) => path],
          [2, (path) => `./${path}`],
          [1, (path) => path.replace(/^a\//, 'a/../a/')],
          [1, (path) => path.replace(/^a\/b\//, 'la/')],
          [1, (path) => path.replace('/', '//')],
          [1, () => `@ROOT@/${target}`],
        ],
  )(way);
  return angled.includes(way) && choices.chance(60) ? `<${spelled}>` : `"${spelled}"`;
}

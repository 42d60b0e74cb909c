// Whether a dependency file is no more than that. make reads it, and what make reads can run programs: a host that lies
// could have written anything. Pure; rather too strict than lenient: what is not plain is made here.

/** The words that -MT and -MQ give as targets: what stands in them is the user's own. */
function ownTargets(argv: readonly string[]): string[] {
  const words = argv.flatMap((word) => (word.startsWith('-Wp,') ? word.slice('-Wp,'.length).split(',') : [word]));
  return words.flatMap((word, at) => {
    const joined = /^-M[TQ](.*)$/s.exec(word)?.[1];
    return joined === undefined ? [] : [joined === '' ? (words[at + 1] ?? '') : joined];
  });
}

// `$$` is a dollar, `\#` and `\ ` are a sign and a blank of a name, in make's way of writing.
const escaped = /\$\$|\\[# ]/g;
// With these make does more than to compare times: variables, functions, recipes.
const special = /[$=;\t]/;

/** Rules of names alone: the first with what its targets depend on, the others with nothing (-MP). */
export function isPlainRules(content: Buffer, argv: readonly string[]): boolean {
  const text = content.toString('latin1').replaceAll('\\\n', ' ');
  const [first = '', ...others] = text.split('\n').filter((line) => line.trim() !== '');
  const colon = first.search(/:(?: |$)/);
  if (colon < 0) return false;
  const own = ownTargets(argv).join(' ');
  const target = first.slice(0, colon).replace(escaped, '');
  const isKnown = own === '' ? !/\s/.test(target.trim()) : !/^\s/.test(target);
  const isPlainTarget = (target.match(/[$=;\t]/g) ?? []).every((sign) => own.includes(sign));
  const needs = first.slice(colon + 1).replace(escaped, '');
  const areBare = others.every(
    (line) => /^[^\s:]+:$/.test(line.replace(escaped, '')) && !special.test(line.replace(escaped, '')),
  );
  return isKnown && isPlainTarget && !special.test(needs) && areBare;
}

// A dependency file's lines, broken where gcc breaks them. Pure. A server that compiles in a directory of its own puts other
// names first and takes them out again; what is left is right, but for the ends of the lines.

// gcc 12 (libcpp/mkdeps.cc): a name that would end behind this column begins a line.
const columns = 72;

/** One rule, with its names as they are escaped. */
function rule(line: string): string {
  const names = line.match(/(?:\\.|[^\s\\])+/gs) ?? [];
  let text = '';
  let column = 0;
  for (const name of names) {
    const size = name.length;
    // The colon behind the targets comes after the look.
    if (column > 0 && column + size - (name.endsWith(':') ? 1 : 0) > columns) {
      text += ' \\\n';
      column = 0;
    }
    if (column > 0 || text !== '') {
      text += ' ';
      column += 1;
    }
    text += name;
    column += size;
  }
  return text;
}

export function rewrapped(dependencies: Buffer): Buffer {
  const rules = dependencies.toString('latin1').replaceAll('\\\n', ' ').split('\n');
  return Buffer.from(rules.map(rule).join('\n'), 'latin1');
}

// Every option that gcc's own help knows, as the table reads it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { misreading, type HelpOption } from './option-help.ts';

const classes = ['common', 'target', 'c', 'c++', 'objc', 'optimizers', 'warnings', 'params', 'undocumented'];

// The driver takes no value for these, cc1 does.
const withoutValue = new Set(['-MD', '-MMD', '--write-dependencies', '--write-user-dependencies']);

// Read, and found to name no file, or one that is only a text in the object.
const reviewed: ReadonlySet<string> = new Set([
  '-H',
  '-MG',
  '-fdebug-prefix-map=',
  '-ffile-prefix-map=',
  '-finstrument-functions-exclude-file-list=filename',
  '-flarge-source-files',
  '-flto-report',
  '-flto-report-wpa',
  '-fmacro-prefix-map=',
  '-fmax-errors=',
  '-fopt-info',
  '-fprofile-dir=',
  '-fprofile-exclude-files=',
  '-fprofile-filter-files=',
  '-fprofile-prefix-map=',
  '-frecord-gcc-switches',
  '-freplace-objc-classes',
  '-fworking-directory',
  '-nostdinc++',
]);

type Entry = { readonly name: string; readonly value: string; readonly text: string };

/** The lines of one class: `  -name<value>   description`, which may begin on the next line and go on. */
function helpOf(which: string): Entry[] {
  const output = execFileSync('gcc', [`--help=${which}`], {
    encoding: 'utf8',
    env: { ...process.env, COLUMNS: '500' },
  });
  const entries: { name: string; value: string; text: string }[] = [];
  for (const line of output.split('\n')) {
    const found = /^ {2}(-[^\s<[,|]+)(\S*(?: <\S+>)?)\s*(.*)$/.exec(line);
    if (found !== null) entries.push({ name: found[1] ?? '', value: found[2] ?? '', text: found[3] ?? '' });
    else if (/^ {10}/.test(line)) {
      const last = entries.at(-1);
      if (last !== undefined) last.text += ` ${line.trim()}`;
    }
  }
  return entries;
}

function allOptions(): HelpOption[] {
  const joined = new Set(helpOf('joined').map(({ name }) => name));
  const separate = new Set(helpOf('separate').map(({ name }) => name));
  const formOf = (name: string): HelpOption['form'] => {
    const takesNext = separate.has(name) && !withoutValue.has(name);
    if (takesNext) return joined.has(name) ? 'either' : 'separate';
    return joined.has(name) ? 'joined' : 'flag';
  };
  const entries = [...classes, 'joined', 'separate'].flatMap(helpOf);
  return entries.map(({ name, value, text }) => ({ name, form: formOf(name), text: `${value} ${text}` }));
}

test("no option in gcc's help would be misread", () => {
  const options = allOptions();
  assert.ok(options.length > 2000, `${options.length} options`);
  const wrong = new Set(options.flatMap((option) => misreading(option, reviewed) ?? []));
  if (wrong.size > 0) assert.fail([...wrong].toSorted().join('\n'));
});

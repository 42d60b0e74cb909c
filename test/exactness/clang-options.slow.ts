// Every option that clang's own help knows, hidden ones too, as the table reads it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { misreading, type HelpOption } from './option-help.ts';

// Read, and found to name no file, or one that is only a text in the object.
const reviewed: ReadonlySet<string> = new Set([
  '-MP',
  '-fbasic-block-sections=',
  '-fbinutils-version=',
  '-fcoverage-compilation-dir=',
  '-fcoverage-prefix-map=',
  '-fcs-profile-generate=',
  '-fdebug-compilation-dir=',
  '-fdebug-prefix-map=',
  '-ffile-compilation-dir=',
  '-ffile-prefix-map=',
  '-fmacro-prefix-map=',
  '-fmemory-profile=',
  '-fms-compatibility-version=',
  '-fmsc-version=',
  '-fno-crash-diagnostics',
  '-fno-pch-codegen',
  '-fno-pch-debuginfo',
  '-fno-rtlib-add-rpath',
  '-fno-sanitize-ignorelist',
  '-fno-sanitize-stats',
  '-fno-temp-file',
  '-forder-file-instrumentation',
  '-fprofile-exclude-files=',
  '-fprofile-filter-files=',
  '-fprofile-generate=',
  '-fprofile-instr-generate',
  '-fprofile-instr-generate=',
  '-frtlib-add-rpath',
  '-fsanitize-stats',
  '-fsplit-dwarf-inlining',
  '-fvalidate-ast-input-files-content',
  '-mignore-xcoff-visibility',
  '-mincremental-linker-compatible',
  '-mmark-bti-property',
  '-mno-incremental-linker-compatible',
  '-nobuiltininc',
  '-nostdinc++',
]);

function allOptions(): HelpOption[] {
  const output = execFileSync('clang', ['--help-hidden'], { encoding: 'utf8' });
  const options: { name: string; form: HelpOption['form']; text: string }[] = [];
  for (const line of output.split('\n')) {
    const found = /^ {2}(-[^\s<[]+)( ?)(<\S+>|\[\S+\])?(.*)$/.exec(line);
    if (found !== null) {
      const [, name = '', space, value, rest = ''] = found;
      const form = value === undefined ? 'flag' : space === ' ' ? 'either' : 'joined';
      options.push({ name, form, text: `${value ?? ''} ${rest.trim()}` });
    } else if (/^ {10}/.test(line)) {
      const last = options.at(-1);
      if (last !== undefined) last.text += ` ${line.trim()}`;
    }
  }
  return options;
}

test("no option in clang's help would be misread", () => {
  const options = allOptions();
  assert.ok(options.length > 900, `${options.length} options`);
  const wrong = new Set(options.flatMap((option) => misreading(option, reviewed) ?? []));
  if (wrong.size > 0) assert.fail([...wrong].toSorted().join('\n'));
});

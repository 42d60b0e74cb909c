// The table of variables against the strings in clang and its libraries.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import test from 'node:test';
import { knownVariables } from '../../src/compiler/environment.ts';

// Families of names under which clang and LLVM read variables, as whole strings of the binary.
const names =
  /(?<=\0)(?:(?:CC|CCC|CLANG|LLVM|GCC|LIBCLANG|CINDEXTEST|FORCE_CLANG|XDG|RC_DEBUG|AS_SECURE)_[A-Z_]{3,50}|[A-Z_]+_INCLUDE_PATH|[A-Z]+_DEPLOYMENT_TARGET|(?:C|L|LIBRARY_|COMPILER_|ROCM_|HIP_DEVICE_LIB_)PATH|SDKROOT|SOURCE_DATE_EPOCH|TERM|COLUMNS|HOME|PWD|TMPDIR|TEMP|TMP|(?:NO|FORCE|CLICOLOR)_[A-Z]*COLOR[A-Z]*)(?=\0)/g;

/** The program and the libraries of LLVM that it is linked with. */
function programs(): string[] {
  const clang = realpathSync(execFileSync('sh', ['-c', 'command -v clang'], { encoding: 'utf8' }).trim());
  const linked = execFileSync('ldd', [clang], { encoding: 'utf8' });
  const libraries = [...linked.matchAll(/=> (\/\S*lib(?:clang|LLVM)\S*)/g)].flatMap(([, path]) => path ?? []);
  return [clang, ...libraries].map((path) => realpathSync(path));
}

test("every variable that clang's programs are known to read has a row", () => {
  const known = new Set(knownVariables);
  let found = 0;
  for (const program of programs()) {
    const text = readFileSync(program).toString('latin1');
    const read = new Set(text.match(names) ?? []);
    found += read.size;
    assert.deepEqual(
      [...read].filter((name) => !known.has(name)),
      [],
      program,
    );
  }
  assert.ok(found > 25, `${found} variables`);
});

// Whose error is it? A compiler that was killed for memory, or found its disk full, ends like one that met a mistake in
// the source: status 1 and words on stderr. A remote failure counts as the user's only if it can be proved so; anything
// else is run again at home, where it costs a compile and nobody's trust.

// Colour sequences of the terminal, which may stand around any part of a diagnostic.
const escape = String.fromCharCode(27);
const colour = new RegExp(`${escape}\\[[0-9;]*[mK]`, 'g');

// A place in a source, then error: what gcc and clang write for mistakes, in English.
const sourceDiagnostic = /^[^\n]{1,4096}?:\d+(?::\d+)?: (?:fatal )?error:/m;

// Words of a machine that has no room for the compile; one that has may do it. Tried: cc1 and as killed, a full tmpfs,
// memory and file size limits.
const noRoom: readonly RegExp[] = [
  /Killed/,
  /No space left on device/,
  /[Cc]annot allocate memory/,
  /virtual memory exhausted/,
  /out of memory/i,
  /Too many open files/,
  /Resource temporarily unavailable/,
  /Disk quota exceeded/,
];

// Other words of trouble that is the machine's, or the compiler's own.
const infrastructure: readonly RegExp[] = [
  /signal terminated program/,
  /internal compiler error/,
  /BFD (?:.*)?(?:assertion|internal error)/,
  /cannot execute/,
  /error while loading shared libraries/,
  /Input\/output error/,
  /PLEASE (?:ATTACH|submit)/,
  /LLVM ERROR/,
  /Stack dump:/,
  /error: unable to execute command/,
  /error: (?:clang|linker|assembler).* command failed/,
  /File size limit exceeded/,
  /CPU time limit exceeded/,
  /Segmentation fault/,
  // The assembler deletes the object, and what it says names no mistake of the compile: home.
  /Assembler messages:/,
  /Permission denied/,
  /Operation not permitted/,
  /Read-only file system/,
  /: No such file or directory/,
  /error: (?:'.*' file not found|cannot open file)/,
];

/** What a compile that ended with `exitStatus` ≠ 0 proves by its stderr. */
export function classifyFailure(stderr: Buffer, exitStatus: number): 'user' | 'no-room' | 'infrastructure' {
  const text = stderr.toString('latin1').replaceAll(colour, '');
  const lacksRoom = noRoom.some((pattern) => pattern.test(text));
  // A source that is quoted may hold any of the words.
  if (!sourceDiagnostic.test(text)) return lacksRoom ? 'no-room' : 'infrastructure';
  // 1 is what both compilers exit with after diagnostics; 4 is gcc's internal error, 254 and more are launch failures.
  if (exitStatus !== 1 || lacksRoom) return 'infrastructure';
  return infrastructure.some((pattern) => pattern.test(text)) ? 'infrastructure' : 'user';
}

// Why a compile stayed here. Each local verdict of shoal is one row of this table: the id is what summaries, metrics and
// `shoal explain` print and what the user guide's anchors are called, so an id, once released, keeps its meaning.

/** Whose doing it is: `user` can change the build, `host` and `network` are the farm's trouble, `policy` is a setting. */
export type Whose = 'user' | 'host' | 'network' | 'policy' | 'compiler';

export type Reason = {
  readonly id: ReasonId;
  readonly whose: Whose;
  /** Why, and what to do about it. */
  readonly sentence: string;
  /** True where no translation unit is compiled: nothing was lost by staying here. */
  readonly probe?: boolean;
  /** True for a probe that costs what a compile costs: like a compile, it waits here until a slot is free. */
  readonly heavy?: boolean;
};

type Row = Omit<Reason, 'id'>;

const rows = {
  // The farm.
  'no-daemon': {
    whose: 'host',
    sentence: 'the client daemon did not answer; `shoal daemon` in a terminal shows why it does not start',
  },
  'no-worker': {
    whose: 'network',
    sentence:
      'no worker could be reached; `shoal hosts` says what is wrong with each, and what to do where there is none',
  },
  'no-toolchain': {
    whose: 'host',
    sentence:
      'no reachable worker has this very compiler; install the same package there; the log of a worker names its compilers',
  },
  'worker-lost': {
    whose: 'network',
    sentence: 'the connection to the worker broke, or it fell silent, and no other worker could take the job',
  },
  'worker-failed': { whose: 'host', sentence: 'the worker could not run the compiler; its log has the cause' },
  'worker-stalled': { whose: 'host', sentence: 'the worker took too long and no other worker could take the job' },
  'worker-full': {
    whose: 'host',
    sentence:
      'the disk or the memory of the worker was full, and no other worker could take the job; give it fewer slots or more room',
  },
  'worker-busy': {
    whose: 'host',
    sentence:
      'the worker had as many jobs or uploads of this box under way as it takes of one client, and no other worker could take the job',
  },
  'missing-blobs': { whose: 'host', sentence: 'the worker lost files that had been sent; its store may be too small' },
  'bad-answer': {
    whose: 'host',
    sentence:
      'the answer of the worker was wrong, incomplete or malformed; use the same version of shoal on both boxes, and look after its memory and disk',
  },
  'remote-compile-failed': {
    whose: 'policy',
    sentence:
      'the compile failed elsewhere, and the failure could not be proved to be in the source; it ran again here to be sure',
  },
  'client-failed': {
    whose: 'host',
    sentence: 'the client daemon failed at this job; ~/.local/state/shoal/daemon.log has the cause',
  },
  'compiler-silent': {
    whose: 'host',
    sentence:
      'the compiler here could not be asked which one it is, or lacks a part (cc1, as); it is asked again before long',
  },
  interrupted: { whose: 'user', sentence: 'the compile was interrupted', probe: true },
  'distcc-protocol': {
    whose: 'policy',
    sentence:
      "the hosts speak distcc's protocol, which cannot carry this compile (assembler, -x, a response file, another output than the object); a `shoal worker` could take it",
  },
  'preprocessing-failed': {
    whose: 'user',
    sentence: 'it could not be preprocessed here, for a host of distcc; the compiler here says why',
  },
  'sooner-here': {
    whose: 'policy',
    sentence:
      'every host that would have been quicker was busy, so this box was expected to be done first; more slots would help',
  },

  // Not a compile of a translation unit.
  'not-a-compiler': {
    whose: 'policy',
    sentence: 'the command is no gcc or clang that can be carried elsewhere (a script, another compiler, or a wrapper)',
    probe: true,
  },
  link: { whose: 'policy', sentence: 'it links; linking always runs here', probe: true, heavy: true },
  'preprocess-only': {
    whose: 'policy',
    sentence: 'it only preprocesses, which costs no more here than the way to a worker',
    probe: true,
  },
  'syntax-only': {
    whose: 'policy',
    sentence: 'it only checks the source and writes no object',
    probe: true,
    heavy: true, // 0.5 s and 137 MB for a C++ file that takes 1.3 s and 194 MB to compile, and 0.04 s to preprocess
  },
  'probe-conftest': {
    whose: 'policy',
    sentence: 'it is a question to the compiler by a configure step (configure, CMake, Meson), answered here',
    probe: true,
  },
  'no-input': { whose: 'user', sentence: 'no source file is named', probe: true },
  'usage-error': { whose: 'user', sentence: 'the command line is wrong; the compiler here says how', probe: true },

  // The command line.
  'unknown-option': {
    whose: 'compiler',
    sentence: 'an option is not in the table of options that are known to be safe; please report it, or leave it out',
  },
  'response-file': {
    whose: 'user',
    sentence: 'a response file (@file) could not be read, is not UTF-8 or nests too deep',
  },
  'several-inputs': {
    whose: 'user',
    sentence: 'one command compiles several sources; compile each by its own command',
  },
  'stdin-input': { whose: 'user', sentence: 'the source comes from standard input; write it to a file', probe: true },
  'source-missing': { whose: 'user', sentence: 'the source does not exist; the compiler here says so' },
  'other-language': { whose: 'compiler', sentence: 'the language is none of C, C++, Objective-C and assembler' },
  'output-special': { whose: 'user', sentence: 'the output is no regular file (a device, a pipe or standard output)' },
  'output-link': {
    whose: 'user',
    sentence: 'the output exists as a symbolic or hard link that must be written through here',
  },
  'output-read-only': {
    whose: 'user',
    sentence: 'the output exists and may not be written; what happens then is for the compiler here to say',
  },
  'output-unwritable': {
    whose: 'user',
    sentence: 'an output could not be written (a full disk, for instance); the compiler here says why',
  },
  'output-is-input': { whose: 'user', sentence: 'the output is also an input' },
  'output-directory-missing': {
    whose: 'user',
    sentence: "the output's directory does not exist; the compiler here says so",
  },
  environment: {
    whose: 'user',
    sentence: 'an environment variable changes where the compiler looks for its parts or what it writes; unset it',
  },
  'probe-failed': {
    whose: 'compiler',
    sentence: 'the compiler did not say where it looks for headers under these options; here, it says itself why',
  },
  plugin: { whose: 'user', sentence: 'a compiler plugin is loaded; plugins are not sent to workers' },
  'native-arch': {
    whose: 'user',
    sentence: 'the processor of this box decides the code (-march=native); name the architecture to compile elsewhere',
  },
  'profile-use': {
    whose: 'user',
    sentence: 'a profile is read (-fprofile-use and the like), whose file name depends on the object',
  },
  'save-temps': {
    whose: 'user',
    sentence: 'the intermediate files are to be kept (-save-temps, -dumpdir and the like)',
  },
  'dump-files': {
    whose: 'user',
    sentence: 'the compiler shall write dumps or reports beside the object (-fdump-…, -ftime-trace)',
  },
  verbose: {
    whose: 'user',
    sentence: 'the compiler shall tell what it does (-v, -time, -Q), which names temporary files of the run',
  },
  modules: { whose: 'user', sentence: 'C++ or Clang modules are used; their caches are not sent to workers' },
  'own-parts': {
    whose: 'user',
    sentence:
      'an option changes which parts the compiler is made of (-B, -specs, -wrapper and the like), or a configuration file of clang gives it others',
  },
  'pass-through': {
    whose: 'user',
    sentence:
      'an option is handed to the assembler, preprocessor or code generator unseen (-Xclang, -mllvm, -Wa, …) and is not in the list',
  },
  charset: {
    whose: 'user',
    sentence: 'the source has another character set (-finput-charset), so its includes cannot be read here',
  },
  traditional: {
    whose: 'user',
    sentence: 'the source is in pre-standard C (-traditional-cpp), whose includes follow other rules',
  },
  'virtual-files': {
    whose: 'user',
    sentence: 'a list or a map of files is read (-ivfsoverlay, header maps, sanitizer ignore lists)',
  },
  'several-architectures': {
    whose: 'user',
    sentence: 'one command compiles for several architectures or for an accelerator',
  },

  // What it reads.
  'other-root': {
    whose: 'user',
    sentence: 'it ran in another root or mount namespace, whose files the client daemon does not see; run shoal inside',
  },
  'computed-include': {
    whose: 'compiler',
    sentence: 'an #include is made by macros that could not be worked out beforehand',
  },
  'precompiled-header': {
    whose: 'user',
    sentence: 'a precompiled header is made or used; build without it to compile elsewhere',
  },
  'timestamp-macro': {
    whose: 'user',
    sentence: '__DATE__, __TIME__ or __TIMESTAMP__ is used; set SOURCE_DATE_EPOCH (that does not help __TIMESTAMP__)',
  },
  'pragma-dependency': { whose: 'user', sentence: "#pragma GCC dependency compares files' times" },
  incbin: {
    whose: 'compiler',
    sentence: 'assembler text includes a file (.incbin, .include) whose name could not be worked out',
  },
  'path-encoding': { whose: 'user', sentence: 'a path or an argument is not UTF-8, which the protocol cannot carry' },
  embed: { whose: 'compiler', sentence: 'a file is embedded (#embed)' },
  limits: {
    whose: 'user',
    sentence: 'a limit set for this command (ulimit, closed streams) cannot be kept on a worker',
  },
  'file-changed': { whose: 'user', sentence: 'a file changed while the job was prepared' },
  'header-unreadable': {
    whose: 'user',
    sentence: 'a file that the compile may read cannot be read by the client daemon',
  },
  'special-input': { whose: 'user', sentence: 'an input is no regular file (a device, a pipe)' },
  'hard-links': {
    whose: 'user',
    sentence: 'two of its files are hard links to one, which clang takes for the same file; make one of them a copy',
  },
} as const satisfies Record<string, Row>;

export type ReasonId = keyof typeof rows;

export const reasonIds: readonly ReasonId[] = Object.keys(rows) as ReasonId[];

export function reasonOf(id: ReasonId): Reason {
  return { id, ...rows[id] };
}

/**
 * True if a job that stays here for this reason waits for a slot. Probes never do, nor what reads a pipe or may call a
 * compiler itself: those may be waiting for another compile.
 */
export function takesSlot(id: ReasonId): boolean {
  const { probe, heavy } = reasonOf(id);
  return probe !== true || heavy === true;
}

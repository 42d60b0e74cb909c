// The variables that compilers read, a row each: what goes along with a job, what it is safe to leave out, and what
// keeps a job here. A variable without a row is none of a compiler's and stays out of the action, so that its key does
// not vary with the weather; a test holds the table against the strings in the installed compilers.
import type { ReasonId } from '../observe/reasons.ts';
import type { Language } from './translation-unit.ts';

type Fate =
  /** Part of the job: it can change what the compile writes. */
  | 'pass'
  /** Read by a compiler, but without effect on a compile to an object. */
  | 'drop'
  /** Changes where the compiler looks for its parts, or what it writes beside the object. */
  | 'here';

const rows = {
  AS_SECURE_LOG_FILE: 'here',
  CCC_ADD_ARGS: 'here',
  CCC_OVERRIDE_OPTIONS: 'here',
  CCC_PRINT_PHASES: 'here',
  CC_LOG_DIAGNOSTICS: 'here',
  CC_LOG_DIAGNOSTICS_FILE: 'here',
  CC_PRINT_HEADERS: 'here',
  CC_PRINT_HEADERS_FILE: 'here',
  CC_PRINT_HEADERS_FILTERING: 'here',
  CC_PRINT_HEADERS_FORMAT: 'here',
  CC_PRINT_INTERNAL_STAT: 'here',
  CC_PRINT_INTERNAL_STAT_FILE: 'here',
  CC_PRINT_OPTIONS: 'here',
  CC_PRINT_OPTIONS_FILE: 'here',
  CC_PRINT_PROC_STAT: 'here',
  CC_PRINT_PROC_STAT_FILE: 'here',
  CINDEXTEST_EDITING: 'drop',
  CINDEXTEST_PREAMBLE_FILE: 'drop',
  CL: 'drop',
  CLANG_CONFIG_FILE_SYSTEM_DIR: 'here',
  CLANG_CONFIG_FILE_USER_DIR: 'here',
  CLANG_CRASH_DIAGNOSTICS_DIR: 'drop',
  CLANG_FORCE_COLOR_DIAGNOSTICS: 'pass',
  CLANG_NO_DEFAULT_CONFIG: 'pass',
  CLICOLOR_FORCE: 'pass',
  COLLECT_GCC: 'here',
  COLLECT_GCC_OPTIONS: 'here',
  COLLECT_LTO_WRAPPER: 'here',
  COLORTERM: 'pass',
  COLUMNS: 'pass',
  COMPILER_PATH: 'here',
  CPATH: 'pass',
  CPLUS_INCLUDE_PATH: 'pass',
  C_INCLUDE_PATH: 'pass',
  DEPENDENCIES_OUTPUT: 'here',
  FORCE_CLANG_DIAGNOSTICS_CRASH: 'here',
  GCC_COLORS: 'pass',
  GCC_COMPARE_DEBUG: 'here',
  GCC_DIAGNOSTICS_LOG: 'here',
  GCC_EXEC_PREFIX: 'here',
  GCC_EXTRA_DIAGNOSTIC_OUTPUT: 'pass',
  GCC_NOAPPORT: 'drop',
  GCC_ROOT: 'here',
  GCC_URLS: 'pass',
  GCONV_PATH: 'here',
  HIP_DEVICE_LIB_PATH: 'drop',
  HOME: 'drop',
  IPHONEOS_DEPLOYMENT_TARGET: 'pass',
  LANG: 'pass',
  LANGUAGE: 'pass',
  LC_ALL: 'pass',
  LC_COLLATE: 'pass',
  LC_CTYPE: 'pass',
  LC_MESSAGES: 'pass',
  LC_NUMERIC: 'pass',
  LD_LIBRARY_PATH: 'pass',
  LIBCLANG_DISABLE_PCH_VALIDATION: 'drop',
  LIBCLANG_OBJTRACKING: 'drop',
  LIBCLANG_TIMING: 'drop',
  LIBRARY_PATH: 'drop',
  LLVM_DISABLE_CRASH_REPORT: 'drop',
  LLVM_DISABLE_SYMBOLIZATION: 'drop',
  LLVM_OVERRIDE_PRODUCER: 'pass',
  LLVM_SYMBOLIZER_PATH: 'drop',
  LOCPATH: 'here',
  LPATH: 'drop',
  MACOSX_DEPLOYMENT_TARGET: 'pass',
  NCC_CPLUS_INCLUDE_PATH: 'here',
  NCC_C_INCLUDE_PATH: 'here',
  NO_COLOR: 'pass',
  OBJCPLUS_INCLUDE_PATH: 'pass',
  OBJC_INCLUDE_PATH: 'pass',
  PATH: 'pass',
  PWD: 'pass',
  QA_SKIP: 'drop',
  RC_DEBUG_OPTIONS: 'here',
  ROCM_PATH: 'drop',
  SDKROOT: 'here',
  SOURCE_DATE_EPOCH: 'pass',
  SUNPRO_DEPENDENCIES: 'here',
  TEMP: 'pass',
  TERM: 'pass',
  TERMINFO: 'drop',
  TERMINFO_DIRS: 'drop',
  TERM_URLS: 'pass',
  TMP: 'pass',
  TMPDIR: 'pass',
  TVOS_DEPLOYMENT_TARGET: 'pass',
  TZ: 'pass',
  VTE_VERSION: 'pass',
  WATCHOS_DEPLOYMENT_TARGET: 'pass',
  XCC_CPLUS_INCLUDE_PATH: 'here',
  XCC_C_INCLUDE_PATH: 'here',
  XDG_CACHE_HOME: 'drop',
  XDG_CONFIG_HOME: 'drop',
} as const satisfies Record<string, Fate>;

function fateOf(name: string): Fate | undefined {
  return Object.hasOwn(rows, name) ? rows[name as keyof typeof rows] : undefined;
}

/** Every name that has a row. */
export const knownVariables: readonly string[] = Object.keys(rows);

/** The first variable that keeps every compile here, or undefined. An empty one counts as set: compilers differ there. */
export function environmentObstacle(env: ReadonlyMap<string, string>): string | undefined {
  for (const name of env.keys()) if (fateOf(name) === 'here') return name;
  return undefined;
}

export type JobEnvironment =
  | { readonly kind: 'variables'; readonly variables: readonly { readonly name: string; readonly value: string }[] }
  | { readonly kind: 'here'; readonly reason: ReasonId; readonly detail: string };

// Preloading is fakeroot's and the like: it shows the build other owners and modes, which a compiler does not write.
/** What of the environment goes along with a job. */
export function environmentFor(env: ReadonlyMap<string, string>): JobEnvironment {
  const obstacle = environmentObstacle(env);
  if (obstacle !== undefined) return { kind: 'here', reason: 'environment', detail: obstacle };
  const variables: { name: string; value: string }[] = [];
  for (const [name, value] of env) if (fateOf(name) === 'pass') variables.push({ name, value });
  return { kind: 'variables', variables };
}

const languageVariable: Readonly<Record<Language, string | undefined>> = {
  c: 'C_INCLUDE_PATH',
  'c++': 'CPLUS_INCLUDE_PATH',
  'objective-c': 'OBJC_INCLUDE_PATH',
  'objective-c++': 'OBJCPLUS_INCLUDE_PATH',
  'assembler-with-cpp': 'C_INCLUDE_PATH',
  assembler: undefined,
};

/** A list of directories; an empty element is the working directory (gcc's manual). */
function directoriesIn(list: string | undefined): string[] {
  if (list === undefined || list === '') return [];
  return list.split(':').map((directory) => (directory === '' ? '.' : directory));
}

/** The directories that the environment adds to the search: CPATH like -I, the language's own like -isystem. */
export function searchFromEnvironment(
  env: ReadonlyMap<string, string>,
  language: Language,
): { readonly angle: readonly string[]; readonly system: readonly string[] } {
  const variable = languageVariable[language];
  return {
    angle: directoriesIn(env.get('CPATH')),
    system: variable === undefined ? [] : directoriesIn(env.get(variable)),
  };
}

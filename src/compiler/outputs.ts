// The files that a compile leaves, and how it writes them; tried with gcc 12 and clang 14.
//
// Beside an output d/x.y lie d/x.d, d/x.dwo and so on; without -o they are named after the source and lie in the
// working directory. gcc's assembler and objcopy unlink what is there, links included; cc1 writes into it. clang renames
// its main output into place and writes into all others. (clang -S puts the .dwo in the working directory.)
import type { Family, Output, OutputKind } from './translation-unit.ts';

/** What the options ask for; filled in word by word. */
export type OutputRequest = {
  /** By -o. */
  named: string | undefined;
  /** -emit-llvm: bitcode in place of the object. */
  bitcode: boolean;
  /** By -MF. */
  dependencies: string | undefined;
  /** By -Wp,-MD,FILE. */
  readonly passedDependencies: string[];
  readonly kinds: Set<OutputKind>;
};

export type OutputForm = {
  readonly mode: 'object' | 'assembly';
  readonly family: Family;
  readonly source: string;
};

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Without the last ending of its last component. */
function withoutEnding(path: string): string {
  const start = path.lastIndexOf('/') + 1;
  const dot = path.lastIndexOf('.');
  return dot > start ? path.slice(0, dot) : path;
}

/** The object's or the assembly's path. */
export function mainOutput({ named, bitcode }: OutputRequest, { mode, source }: OutputForm): string {
  const ending = mode === 'object' ? (bitcode ? 'bc' : 'o') : bitcode ? 'll' : 's';
  return named ?? `${withoutEnding(baseName(source))}.${ending}`;
}

const endings = new Map<OutputKind, string>([
  ['dwo', 'dwo'],
  ['stack-usage', 'su'],
  ['callgraph', 'ci'],
  ['coverage-notes', 'gcno'],
]);

/** Every file the compile may leave, the main output first, each path once. */
export function outputsOf(wanted: OutputRequest, form: OutputForm): Output[] {
  const { family, mode } = form;
  const main = mainOutput(wanted, form);
  const stem = withoutEnding(wanted.named ?? baseName(form.source));
  const outputs = new Map<string, Output>();
  const add = (output: Output): void => {
    if (!outputs.has(output.path)) outputs.set(output.path, output);
  };
  const kind = mode === 'object' ? 'object' : 'assembly';
  add({ path: main, kind, how: mode === 'assembly' && family === 'gcc' ? 'truncate' : 'replace' });
  for (const path of dependencyFiles(wanted, stem)) add({ path, kind: 'dependencies', how: 'truncate' });
  for (const beside of wanted.kinds) {
    const ending = endings.get(beside);
    if (ending === undefined) continue;
    const how = beside === 'dwo' && family === 'gcc' ? 'replace' : 'truncate';
    add({ path: `${stem}.${ending}`, kind: beside, how });
    if (beside === 'dwo' && family === 'clang' && mode === 'assembly') {
      add({ path: `${withoutEnding(baseName(form.source))}.dwo`, kind: beside, how });
    }
  }
  return [...outputs.values()];
}

/** `-` is standard output for both. A file that is named twice is written once, under one of the names. */
function dependencyFiles(wanted: OutputRequest, stem: string): string[] {
  const files = [...wanted.passedDependencies];
  if (wanted.kinds.has('dependencies')) files.push(wanted.dependencies ?? `${stem}.d`);
  return files.filter((file) => file !== '-');
}

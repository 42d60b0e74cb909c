// Puts the compiler that plays back in the place of gcc's own cc1, cc1plus and as, where every system here looks for them:
// as an overlay over gcc's directory, in this process's mount namespace. Drivers, preprocessing and all questions stay real.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeProgram } from '../programs.ts';
import { encodeRecording, type Recording } from './recording.ts';

/** `c` is played by cc1, `cplusplus` by cc1plus. */
export type Recordings = { readonly c: Recording; readonly cplusplus: Recording };

/** To be called in a mount namespace of this bench's own: the box's compiler stays as it is. */
export function putInPlace(recordings: Recordings, scratch: string): void {
  const upper = join(scratch, 'compiler');
  const work = join(scratch, 'compiler-work');
  for (const directory of [upper, work]) mkdirSync(directory);
  replace({ upper, real: programOf('cc1'), name: 'cc1', recording: recordings.c });
  replace({ upper, real: programOf('cc1plus'), name: 'cc1plus', recording: recordings.cplusplus });
  replace({ upper, real: programOf('as'), name: 'as', recording: { entries: [] } });
  const own = dirname(programOf('cc1'));
  const layers = `lowerdir=${own},upperdir=${upper},workdir=${work}`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, own]);
}

function programOf(name: string): string {
  const answer = execFileSync('gcc', [`-print-prog-name=${name}`], { encoding: 'utf8' }).trim();
  const path = answer.startsWith('/')
    ? answer
    : execFileSync('/bin/sh', ['-c', `command -v ${answer}`], { encoding: 'utf8' });
  return execFileSync('realpath', [path.trim()], { encoding: 'utf8' }).trim();
}

type Replacing = {
  readonly upper: string;
  readonly real: string;
  readonly name: string;
  readonly recording: Recording;
};

function replace({ upper, real, name, recording }: Replacing): void {
  const data = join(upper, 'data');
  writeFileSync(data, encodeRecording(recording));
  renameSync(makeProgram('replay', upper, { RECORDING: data }), join(upper, name));
  copyFileSync(real, join(upper, `${name}.real`));
  for (const program of [name, `${name}.real`]) chmodSync(join(upper, program), 0o755);
  execFileSync('rm', [data]);
}

// DISTCC_SAVE_TEMPS=1: the preprocessed source that went to a server stays in TMPDIR, under a name as stock distcc gives it.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TranslationUnit } from '../../compiler/translation-unit.ts';
import type { LauncherRequest } from '../launcher-wire.ts';

const endings: Readonly<Partial<Record<TranslationUnit['language'], string>>> = {
  'c++': '.ii',
  'objective-c': '.mi',
  'objective-c++': '.mii',
};

type Kept = {
  readonly request: Pick<LauncherRequest, 'env' | 'cwd'>;
  readonly unit: Pick<TranslationUnit, 'language'>;
};

/** Whatever keeps it from being written costs no compile anything. */
export function keepSent({ request, unit }: Kept, text: Uint8Array): void {
  const named = request.env.find((entry) => entry.startsWith('TMPDIR='))?.slice('TMPDIR='.length);
  const directory = resolve(request.cwd, named === undefined || named === '' ? '/tmp' : named);
  const name = `distcc_${randomBytes(4).toString('hex')}${endings[unit.language] ?? '.i'}`;
  try {
    writeFileSync(join(directory, name), text, { flag: 'wx', mode: 0o600 });
  } catch {
    // It is somebody's help, not the job.
  }
}

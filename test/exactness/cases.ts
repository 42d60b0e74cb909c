// All cases of the matrix, for both families; or those whose name has SHOAL_MATRIX_ONLY in it.
import { perFamily, type FamilyCase } from './case.ts';
import { changes } from './cases/changes.ts';
import { dependencies } from './cases/dependencies.ts';
import { diagnostics } from './cases/diagnostics.ts';
import { environment } from './cases/environment.ts';
import { includes } from './cases/includes.ts';
import { languages } from './cases/languages.ts';
import { options } from './cases/options.ts';
import { outputs } from './cases/outputs.ts';

const only = process.env['SHOAL_MATRIX_ONLY'] ?? '';

const all: readonly FamilyCase[] = [
  languages,
  options,
  dependencies,
  includes,
  changes,
  outputs,
  diagnostics,
  environment,
].flatMap(perFamily);

export const cases: readonly FamilyCase[] = all.filter(({ name }) => name.includes(only));

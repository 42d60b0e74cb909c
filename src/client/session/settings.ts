// What a build asked of the farm. `shoal make` reads it once from its own environment and flags and leaves it with the
// daemon, so that a compile whose environment was scrubbed is still part of its build.

import { withRightNames } from '../../distcc/environment.ts';
import { hostsVariable } from '../../distcc/host-source.ts';
import { distccWordOf, parseDistccHosts } from '../../distcc/host-words.ts';
import { parseHosts } from '../../farm/host-spec.ts';

export type Settings = {
  /** The hosts setting; undefined where none was given: the worker of this box, if one runs. */
  readonly hosts: string | undefined;
  /** The list of distcc's that they are from, if they are from one. */
  readonly hostsFrom?: string;
  /**
   * Strict mode: the largest share, from 0 to 1, of the compiles which could run elsewhere that may run here all the same.
   * At 0 each of them is refused at once; otherwise the build is judged at its end. Undefined: as many as it takes.
   */
  readonly mostFallbacks: number | undefined;
  /** The share, from 0 to 1, of what hosts return that is compiled once more here and compared. */
  readonly proofShare: number;
  /** False: every compile is really run, though the worker may have its result. */
  readonly resultCache: boolean;
  /** How it reaches hosts of distcc, where there are any. */
  readonly way?: WayVariables;
};

/** Variables that say how hosts of distcc are reached: programs, proofs of who one is, how long one rests. */
export const wayVariables = [
  'DISTCC_SSH',
  'DISTCC_PRINCIPAL',
  'DISTCC_BACKOFF_PERIOD',
  'KRB5CCNAME',
  'KRB5_CONFIG',
] as const;

export type WayVariables = Readonly<Partial<Record<(typeof wayVariables)[number], string>>>;

type Environment = Readonly<Record<string, string | undefined>>;

export class SettingsError extends Error {
  readonly code = 'SETTINGS';
}

const unset: ReadonlySet<string> = new Set(['', '0', 'false', 'off']);
const none: ReadonlySet<string> = new Set(['1', 'true', 'on']);

/** `1`: none; `2%`: that share. @throws SettingsError */
export function parseStrict(text: string): number | undefined {
  if (unset.has(text)) return undefined;
  if (none.has(text)) return 0;
  const percent = /^([0-9]{1,3}(?:\.[0-9]+)?)%$/.exec(text)?.[1];
  if (percent === undefined || Number(percent) > 100) {
    throw new SettingsError(
      `strict is "${text}": write 1 for no fallback at all, or a share of the compiles such as 2%`,
    );
  }
  return Number(percent) / 100;
}

const usualProofShare = 1 / 1000;

/** `1/1000`, or `off`. @throws SettingsError */
export function parseShare(text: string): number {
  if (text === '') return usualProofShare;
  if (isOff(text)) return 0;
  const [, of, all] = /^([0-9]{1,9})\/([1-9][0-9]{0,8})$/.exec(text) ?? [];
  const share = Number(of) / Number(all);
  if (!(share <= 1)) throw new SettingsError(`verify is "${text}": write a share such as 1/1000, or off`);
  return share;
}

const isOff = (value: string | undefined): boolean => value === '0' || value === 'false' || value === 'off';

/** @throws SettingsError */
function checkedHosts(text: string | undefined): string | undefined {
  const parsed = parseHosts(text ?? '');
  if (parsed.kind === 'invalid') throw new SettingsError(`hosts is wrong at "${parsed.word}": ${parsed.why}`);
  return text;
}

/**
 * The hosts of a list in distcc's syntax, as a hosts setting. What it says of this box (`localhost`, `--localslots`) has
 * no place there: which compiles run here, and how many, is measured.
 * @throws SettingsError
 */
export function distccSetting(text: string, from: string): string {
  const parsed = parseDistccHosts(text);
  if (parsed.kind === 'invalid') {
    const { word, mistake } = parsed;
    throw new SettingsError(`${from} is wrong at "${word}": ${mistake.what}; ${mistake.remedy}`);
  }
  const { hosts, randomize, zeroconf } = parsed.list;
  const words = hosts.filter(({ down }) => !down).map(distccWordOf);
  if (randomize) words.push('--randomize');
  if (zeroconf) words.push('+zeroconf');
  return words.map((word) => `distcc://${word}`).join(' ');
}

type Hosts = Pick<Settings, 'hosts' | 'hostsFrom'>;

/** A list of distcc's. */
export type Listed = { readonly from: string; readonly text: string };

/** Of the environment alone. */
export function listedIn(env: Environment): Listed | undefined {
  const text = env[hostsVariable];
  return text === undefined ? undefined : { from: hostsVariable, text };
}

/** Such a list names hosts as well: it counts where there is none of shoal's. @throws SettingsError */
function hostsIn(env: Environment, listed: Listed | undefined): Hosts {
  if (env['SHOAL_HOSTS'] !== undefined || listed === undefined) return { hosts: checkedHosts(env['SHOAL_HOSTS']) };
  return { hosts: distccSetting(listed.text, listed.from), hostsFrom: listed.from };
}

/** Nothing where there is no such host: builds that differ in these alone share a farm otherwise. */
function wayIn(env: Environment, { hosts }: Hosts): Pick<Settings, 'way'> {
  if (hosts?.includes('distcc://') !== true) return {};
  const named = withRightNames(env);
  const set = wayVariables.flatMap((name) => (named[name] === undefined ? [] : [[name, named[name]] as const]));
  return { way: Object.fromEntries(set) };
}

/** The variables that settings are made from. */
export const settingVariables = [
  ...wayVariables,
  'SHOAL_HOSTS',
  hostsVariable,
  'SHOAL_STRICT',
  'DISTCC_FALLBACK',
  'SHOAL_VERIFY',
  'SHOAL_RESULT_CACHE',
] as const;

// distcc's own word for the same.
const strictIn = (env: Environment): string => env['SHOAL_STRICT'] ?? (env['DISTCC_FALLBACK'] === '0' ? '1' : '');

/** @throws SettingsError if a variable has no meaning. */
export function settingsFrom(env: Environment): Settings {
  const hosts = hostsIn(env, listedIn(env));
  return {
    ...hosts,
    ...wayIn(env, hosts),
    mostFallbacks: parseStrict(strictIn(env)),
    proofShare: parseShare(env['SHOAL_VERIFY'] ?? ''),
    resultCache: !isOff(env['SHOAL_RESULT_CACHE']),
  };
}

/**
 * As `settingsFrom`, of a compile that nobody can be told of a mistake: hosts that are wrong are none, and so on.
 * `listed`: the list in distcc's syntax that counts for it, of a file where it was called as distcc.
 */
export function nearestSettings(
  env: Environment,
  log: (line: string) => void,
  listed: Listed | undefined = listedIn(env),
): Settings {
  const orElse = <T>(parse: () => T, instead: T): T => {
    try {
      return parse();
    } catch (error) {
      log((error as Error).message);
      return instead;
    }
  };
  const hosts = orElse<Hosts>(() => hostsIn(env, listed), { hosts: '' });
  return {
    ...hosts,
    ...wayIn(env, hosts),
    mostFallbacks: orElse(() => parseStrict(strictIn(env)), 0),
    proofShare: orElse(() => parseShare(env['SHOAL_VERIFY'] ?? ''), usualProofShare),
    resultCache: !isOff(env['SHOAL_RESULT_CACHE']),
  };
}

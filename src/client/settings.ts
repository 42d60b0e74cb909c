// What a build asked of the farm. `shoal make` reads it once from its own environment and flags and leaves it with the
// daemon, so that a compile whose environment was scrubbed is still part of its build.

export type Settings = {
  /** The hosts setting; undefined where none was given: the worker of this box, if one runs. */
  readonly hosts: string | undefined;
  /** A compile that could run elsewhere and does not is an error. */
  readonly strict: boolean;
  /** False: every compile is really run, though the worker may have its result. */
  readonly resultCache: boolean;
};

type Environment = Readonly<Record<string, string | undefined>>;

const isOn = (value: string | undefined): boolean => value === '1' || value === 'true' || value === 'on';
const isOff = (value: string | undefined): boolean => value === '0' || value === 'false' || value === 'off';

export function settingsFrom(env: Environment): Settings {
  return {
    hosts: env['SHOAL_HOSTS'],
    strict: isOn(env['SHOAL_STRICT']),
    resultCache: !isOff(env['SHOAL_RESULT_CACHE']),
  };
}

// The bytes of our own arguments and environment, where they are not UTF-8. Node reads both as UTF-8 and puts U+FFFD for
// what is none; a build must get what its user wrote. The kernel still has the bytes, and the launcher hands them on.
import { readFileSync } from 'node:fs';

type Environment = Readonly<Record<string, string | undefined>>;

const unreadable = '\ufffd';

function bytesIn(file: string): Buffer[] {
  const all = readFileSync(file);
  const words: Buffer[] = [];
  for (let at = 0; at < all.length;) {
    const end = all.indexOf(0, at);
    words.push(all.subarray(at, end < 0 ? all.length : end));
    at = end < 0 ? all.length : end + 1;
  }
  return words;
}

const textOf = (bytes: Buffer): string => bytes.toString('utf8');

/** The last words of a command are our own last: those that differ from there on were put in front by us. */
function argumentBytes(command: readonly string[], own: readonly Buffer[]): Buffer[] {
  let same = 0;
  while (same < command.length && same < own.length) {
    const bytes = own[own.length - 1 - same];
    if (bytes === undefined || textOf(bytes) !== command[command.length - 1 - same]) break;
    same += 1;
  }
  const before = command.slice(0, command.length - same).map((word) => Buffer.from(word));
  return same === 0 ? before : [...before, ...own.slice(-same)];
}

/** A variable may have got something in front, as PATH does. */
function variableBytes(env: Environment, own: readonly Buffer[]): Buffer[] {
  const byName = new Map(own.map((entry) => [textOf(entry.subarray(0, Math.max(0, entry.indexOf('=')))), entry]));
  return Object.entries(env).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const entry = byName.get(name);
    const old = entry?.subarray(entry.indexOf('=') + 1);
    if (entry === undefined || old === undefined || !value.endsWith(textOf(old)))
      return [Buffer.from(`${name}=${value}`)];
    const added = value.slice(0, value.length - textOf(old).length);
    return [Buffer.concat([entry.subarray(0, entry.indexOf('=') + 1), Buffer.from(added), old])];
  });
}

/** What the launcher needs to run the command byte for byte; undefined where Node itself can. */
export function untouchedWords(command: readonly string[], env: Environment): Buffer | undefined {
  const texts = [...command, ...Object.entries(env).flat()];
  if (!texts.some((text) => text?.includes(unreadable) === true)) return undefined;
  const words = argumentBytes(command, bytesIn('/proc/self/cmdline'));
  const all = [Buffer.from(`${words.length}`), ...words, ...variableBytes(env, bytesIn('/proc/self/environ'))];
  const nul = Buffer.alloc(1);
  return Buffer.concat(all.flatMap((word) => [word, nul]));
}

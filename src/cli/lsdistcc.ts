// `lsdistcc [OPTIONS] [FORMAT | HOST…]`: the hosts that serve distcc's clients, as a list for DISTCC_HOSTS.
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { scanHosts, type Names, type Scan, type ScannedHost } from '../distcc/scan-hosts.ts';
import { distccPort } from '../distcc/host-words.ts';
import type { Invocation } from './invocation.ts';

const usage = `Usage: lsdistcc [OPTIONS] [FORMAT]
       lsdistcc [OPTIONS] HOST...

Looks for servers named by FORMAT, distcc%d unless it is given, from 1 on, or at the
hosts that are named, and prints those that listen on distcc's port.

Options:
-l         Print the latency in milliseconds after each host (without DNS)
-n         Print IP addresses, not names
-x         Print hosts that are down, too, with ,down after them
-tTIMEOUT  Stop searching after so many seconds [7]
-hTIMEOUT  Milliseconds before a name is asked for again: taken, the resolver does so itself
-cTIMEOUT  Milliseconds before a connect is given up [900]; 0: do not connect
-kTIMEOUT  Milliseconds before a compile is given up [1500]; 0: do not compile
-mBITS     Bits of the address that must be those of the first host [0]
-oOVERLAP  Names to look up ahead [1]
-gDNSGAP   Names that may be missing [0]
-rPORT     Port to connect to [3632]
-PPROTOCOL Protocol to speak, 1 to 3 [1]
-pCOMPILER Let it compile something [none]
-d         Append the DNS domain to FORMAT
-v         Tell what is done
`;

const numbers: Readonly<Record<string, { readonly usual: number; readonly least: number; readonly most: number }>> = {
  t: { usual: 7, least: 1, most: 3600 },
  h: { usual: 500, least: 0, most: 3_600_000 },
  c: { usual: 900, least: 0, most: 3_600_000 },
  k: { usual: 1500, least: 0, most: 3_600_000 },
  m: { usual: 0, least: 0, most: 31 },
  o: { usual: 1, least: 0, most: 1000 },
  g: { usual: 0, least: 0, most: 1000 },
  r: { usual: distccPort, least: 1, most: 65_535 },
  P: { usual: 1, least: 1, most: 3 },
};

export type LsdistccOptions = {
  readonly flags: ReadonlySet<string>;
  readonly numbers: Readonly<Record<string, number>>;
  readonly compiler: string | undefined;
  readonly words: readonly string[];
};

/** Undefined if an option is none. */
export function parseLsdistcc(args: readonly string[]): LsdistccOptions | undefined {
  const flags = new Set<string>();
  const values = Object.fromEntries(Object.entries(numbers).map(([letter, { usual }]) => [letter, usual]));
  let compiler: string | undefined;
  let at = 0;
  for (; args[at]?.startsWith('-') === true; at += 1) {
    const word = args[at] ?? '';
    const [letter = '', value] = [word[1], word.slice(2)];
    const range = Object.hasOwn(numbers, letter) ? numbers[letter] : undefined;
    if (range !== undefined) {
      const given = Number(value);
      if (!/^[0-9]{1,9}$/.test(value) || given < range.least || given > range.most) return undefined;
      values[letter] = given;
    } else if (letter === 'p' && value !== '') compiler = value;
    else if (/^-[lnxdv]+$/.test(word)) for (const flag of word.slice(1)) flags.add(flag);
    else return undefined;
  }
  return { flags, numbers: values, compiler, words: args.slice(at) };
}

export function hostText(
  { name, address, isUp, latencyMs }: ScannedHost,
  { flags, numbers: of }: LsdistccOptions,
): string {
  const port = of['r'] === distccPort ? '' : `:${of['r']}`;
  const options = ['', ',lzo', ',lzo,cpp'][(of['P'] ?? 1) - 1] ?? '';
  const latency = flags.has('l') ? ` ${latencyMs}` : '';
  return `${flags.has('n') ? address : name}${port}${options}${isUp ? '' : ',down'}${latency}\n`;
}

function domain(): string | undefined {
  try {
    return /^(?:domain|search)\s+(\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

function namesOf({ words, flags, numbers: of }: LsdistccOptions): Names | undefined {
  const [format = 'distcc%d'] = words;
  const window = { ahead: of['o'] ?? 1, gap: of['g'] ?? 0 };
  if (words.length > 1 || !/%0?\d*d/.test(format)) {
    return { nameOf: (index) => words[index], ahead: words.length, gap: words.length };
  }
  const own = flags.has('d') ? domain() : '';
  if (own === undefined) return undefined;
  const suffix = own === '' ? '' : `.${own}`;
  const numbered = (index: number): string =>
    format.replace(/%(0?)(\d*)d/, (_, zero: string, width: string) =>
      String(index + 1)
        .padStart(Math.min(20, Number(width)), zero === '' ? ' ' : '0')
        .trim(),
    );
  return { nameOf: (index) => `${numbered(index)}${suffix}`, ...window };
}

async function lookUp(name: string): Promise<string | undefined> {
  try {
    return (await lookup(name)).address;
  } catch {
    return undefined;
  }
}

/** 0 if any of the names exists: so the program has it, whatever its manual page says. */
export async function lsdistccCommand({ args }: Invocation): Promise<void> {
  const options = parseLsdistcc(args);
  const names = options === undefined ? undefined : namesOf(options);
  process.exitCode = 1;
  if (options === undefined || names === undefined) {
    process.stdout.write(options === undefined ? usage : "Can't get domain name\n");
    return;
  }
  const { flags, numbers: of, compiler } = options;
  const scan: Scan = {
    port: of['r'] ?? distccPort,
    connectMs: of['c'] ?? 0,
    compileMs: of['k'] ?? 0,
    protocol: of['P'] === 3 ? 3 : of['P'] === 2 ? 2 : 1,
    compiler,
    sameBits: of['m'] ?? 0,
  };
  const log = (line: string): void => {
    if (flags.has('v')) process.stderr.write(`now ${Date.now()}: ${line}\n`);
  };
  const end = setTimeout(() => process.exit(), (of['t'] ?? 7) * 1000);
  for await (const host of scanHosts(names, scan, { lookUp, log })) {
    process.exitCode = 0;
    if (host.isUp || flags.has('x')) process.stdout.write(hostText(host, options));
  }
  clearTimeout(end);
}

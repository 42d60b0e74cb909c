// What an object looks like that this compiler makes, as far as that is certain: an object of another machine, or one
// that breaks off, would be found by the linker only. Rather too lenient than wrong: whatever an option, a name or an
// unknown target leaves open is taken. Pure.
import { basename } from 'node:path';
import type { Family } from './translation-unit.ts';

export type ObjectMaker = {
  readonly family: Family;
  /** As the driver says with -v: `x86_64-linux-gnu`. */
  readonly target: string;
  /** The path by which the driver was called. */
  readonly compiler: string;
  readonly argv: readonly string[];
};

type Elf = { readonly machines: readonly number[]; readonly bits?: 32 | 64; readonly endian?: 'little' | 'big' };

// EM_… of the targets' families; the first of x86's is that of its plain 64-bit form.
const families: readonly (readonly [RegExp, Elf])[] = [
  [/^(?:x86_64|amd64|i[3-6]86)/, { machines: [62, 3, 6], endian: 'little' }],
  [/^(?:aarch64|arm64)/, { machines: [183] }],
  [/^(?:arm|thumb)/, { machines: [40] }],
  [/^riscv(?:32|64)/, { machines: [243], endian: 'little' }],
  [/^(?:powerpc|ppc)/, { machines: [20, 21] }],
  [/^s390/, { machines: [22], endian: 'big' }],
  [/^mips/, { machines: [8, 10] }],
  [/^loongarch/, { machines: [258], endian: 'little' }],
];
const plainX86: Elf = { machines: [62], bits: 64, endian: 'little' };

const elfTarget = /linux|elf|eabi|freebsd|netbsd|openbsd|haiku|solaris/;
// Words that make other objects than the target's plain ones: another width, another target, or unread words.
const otherWidth = /^(?:-m(?:16|32|64|x32|iamcu|abi=.*)|-Wa,.*|-Xassembler|@.*)$/;
const otherTarget = /^--?target(?:=|$)/;
// By another name clang compiles for another target.
const clangName = /^clang(?:\+\+)?(?:-[0-9.]+)?$/;

/** The ELF objects that are right; undefined where other formats may be, too. */
function elfOf({ family, target, compiler, argv }: ObjectMaker): Elf | undefined {
  if (!elfTarget.test(target)) return undefined;
  if (family === 'clang') {
    const names = [compiler, argv[0] ?? ''].map((name) => basename(name));
    if (!names.every((name) => clangName.test(name))) return undefined;
    if (argv.some((word) => otherTarget.test(word) || word.startsWith('@'))) return undefined;
  }
  const found = families.find(([pattern]) => pattern.test(target))?.[1];
  if (found === undefined) return { machines: [] };
  const isPlain = target.startsWith('x86_64-') && !/x32/.test(target) && !argv.some((word) => otherWidth.test(word));
  return isPlain ? plainX86 : found;
}

// LLVM bitcode and its wrapper, WebAssembly, Mach-O, and COFF by its machines: clang compiles for them all.
const otherMagics = ['4243', 'dec0170b', '0061736d', 'cffaedfe', 'cefaedfe', '6486', '4c01', '64aa', 'c001', 'c401'];
const bitcodeMagics = ['4243', 'dec0170b'];

function beginsWith(content: Buffer, magics: readonly string[]): boolean {
  const start = content.toString('hex', 0, 4);
  return magics.some((magic) => start.startsWith(magic));
}

/** An ELF header's fields, where these bytes begin with one; both compilers put the section headers at the end. */
function elfHeader(content: Buffer) {
  if (content.length < 52 || content.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const bits = content[4] === 2 ? 64 : 32;
  const endian = content[5] === 2 ? 'big' : 'little';
  if (bits === 64 && content.length < 64) return undefined;
  const short = (at: number): number => (endian === 'big' ? content.readUInt16BE(at) : content.readUInt16LE(at));
  const word = (at: number): number => (endian === 'big' ? content.readUInt32BE(at) : content.readUInt32LE(at));
  const long = (at: number): number =>
    Number(endian === 'big' ? content.readBigUInt64BE(at) : content.readBigUInt64LE(at));
  const sections = bits === 64 ? long(40) : word(32);
  const [size, count] = bits === 64 ? [short(58), short(60)] : [short(46), short(48)];
  // More than 65,279 sections: their number stands in the first one.
  return { bits, endian, type: short(16), machine: short(18), endBytes: sections + size * Math.max(1, count) };
}

const relocatable = 1;

/** What is wrong with an object that `maker` is said to have made; undefined if nothing is, as far as can be known. */
export function objectFlaw(maker: ObjectMaker, content: Buffer): string | undefined {
  const expected = elfOf(maker);
  const header = elfHeader(content);
  if (header === undefined) {
    const others = expected === undefined ? otherMagics : maker.family === 'clang' ? bitcodeMagics : [];
    return beginsWith(content, others) ? undefined : 'is no object file';
  }
  if (header.type !== relocatable) return 'is no relocatable object';
  if (header.endBytes > content.length) return 'breaks off';
  if (expected === undefined || expected.machines.length === 0) return undefined;
  const { machines, bits = header.bits, endian = header.endian } = expected;
  const isRight = machines.includes(header.machine) && bits === header.bits && endian === header.endian;
  return isRight ? undefined : `is an object for another machine (ELF ${header.bits}, ${header.machine})`;
}

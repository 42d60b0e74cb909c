// In which section two objects differ. Pure; reads no more than the section headers of ELF (System V ABI, chapter 4).

type Section = { readonly name: string; readonly bytes: Buffer };

type Reader = {
  readonly u16: (at: number) => number;
  readonly u32: (at: number) => number;
  readonly word: (at: number) => number;
};

// e_ident: the class at 4 (1: 32 bits, 2: 64), the byte order at 5 (1: little).
function readerOf(file: Buffer): { readonly read: Reader; readonly wide: boolean } | undefined {
  const wide = file[4] === 2;
  const little = file[5] === 1;
  if (file.length < 64 || file.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  const u16 = (at: number): number => (little ? file.readUInt16LE(at) : file.readUInt16BE(at));
  const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const u64 = (at: number): number => Number(little ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at));
  return { read: { u16, u32, word: wide ? u64 : u32 }, wide };
}

const noBits = 8; // SHT_NOBITS: takes no place in the file

function sectionsOf(file: Buffer): Section[] | undefined {
  const opened = readerOf(file);
  if (opened === undefined) return undefined;
  const { read, wide } = opened;
  const start = read.word(wide ? 40 : 32);
  const [entry, count, names] = (wide ? [58, 60, 62] : [46, 48, 50]).map(read.u16) as [number, number, number];
  const headers = Array.from({ length: count }, (_, index) => {
    const at = start + index * entry;
    const offset = read.word(at + (wide ? 24 : 16));
    const size = read.u32(at + 4) === noBits ? 0 : read.word(at + (wide ? 32 : 20));
    return { nameAt: read.u32(at), bytes: file.subarray(offset, offset + size) };
  });
  const table = headers[names]?.bytes ?? Buffer.alloc(0);
  return headers.map(({ nameAt, bytes }) => ({
    name: table.toString('latin1', nameAt, table.indexOf(0, nameAt)),
    bytes,
  }));
}

/** The first section that differs, or what else does: `the headers`, `the file` where it is no ELF that can be read. */
export function differingSection(one: Buffer, other: Buffer): string {
  try {
    const [a, b] = [sectionsOf(one), sectionsOf(other)];
    if (a === undefined || b === undefined) return 'the file';
    const at = a.findIndex(({ name, bytes }, index) => b[index]?.name !== name || !bytes.equals(b[index].bytes));
    const found = a[at] ?? b[a.length];
    return found === undefined ? 'the headers' : found.name;
  } catch {
    return 'the file';
  }
}

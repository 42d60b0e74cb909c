// The state of one job as distcc's monitors read it: a file `binstate_…` in DISTCC_DIR/state, a C structure as the
// machine lays it out. On a machine of 64 bits, little-endian:
//
//   0 u64 size of the structure, 296    8 u32 0x44494800    16 u64 process
//   24 char[128] file    152 char[128] host    280 i32 slot    284 i32 phase    288 a pointer, 0 in a file
//
// A monitor takes any name after `binstate_`, shows what belongs to a process that lives, and removes what does not.

export const statePrefix = 'binstate_';
const sizeBytes = 296;
const magic = 0x44494800;
const at = { magic: 8, pid: 16, file: 24, host: 152, slot: 280, phase: 284 } as const;
const textBytes = 128;

/** By their numbers; a finished one is not shown. */
export const phases = ['Startup', 'Blocked', 'Connect', 'Preprocess', 'Send', 'Compile', 'Receive', 'Done'] as const;
export type Phase = (typeof phases)[number];

export type JobState = {
  readonly pid: number;
  readonly file: string;
  readonly host: string;
  readonly slot: number;
  readonly phase: Phase;
};

/** Ends with a NUL within its room; a long name keeps its end, which tells more. */
function putText(bytes: Buffer, offset: number, text: string): void {
  const whole = Buffer.from(text);
  whole.copy(bytes, offset, Math.max(0, whole.length - (textBytes - 1)));
}

function textAt(bytes: Buffer, offset: number): string {
  const end = bytes.subarray(offset, offset + textBytes).indexOf(0);
  return bytes.toString('utf8', offset, offset + (end < 0 ? textBytes : end));
}

export function encodeState({ pid, file, host, slot, phase }: JobState): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  bytes.writeBigUInt64LE(BigInt(sizeBytes), 0);
  bytes.writeUInt32LE(magic, at.magic);
  bytes.writeBigUInt64LE(BigInt(pid), at.pid);
  putText(bytes, at.file, file);
  putText(bytes, at.host, host);
  bytes.writeInt32LE(slot, at.slot);
  bytes.writeInt32LE(phases.indexOf(phase), at.phase);
  return bytes;
}

/** Undefined if it is no such structure, or one of another machine's. */
export function decodeState(bytes: Buffer): JobState | undefined {
  if (bytes.length < sizeBytes || bytes.readBigUInt64LE(0) !== BigInt(sizeBytes)) return undefined;
  if (bytes.readUInt32LE(at.magic) !== magic) return undefined;
  const pid = bytes.readBigUInt64LE(at.pid);
  if (pid < 1n || pid > 0x7fffffffn) return undefined;
  // As the monitors do with a phase that they do not know.
  const phase = phases[bytes.readInt32LE(at.phase)] ?? 'Compile';
  const slot = bytes.readInt32LE(at.slot);
  return { pid: Number(pid), file: textAt(bytes, at.file), host: textAt(bytes, at.host), slot, phase };
}

const columns = { pid: 6, phase: 10, file: 30, host: 24 } as const;
const cut = (text: string, width: number): string => text.slice(0, width);

/** A line of distccmon-text. */
export function stateLine({ pid, file, host, slot, phase }: JobState): string {
  const left = `${String(pid).padStart(columns.pid)}  ${cut(phase, columns.phase).padEnd(columns.phase)}`;
  return `${left}  ${cut(file, columns.file).padEnd(columns.file)} ${cut(host, columns.host).padStart(columns.host)}[${slot}]`;
}

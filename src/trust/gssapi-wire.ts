// What is said to the helper that has to do with the GSS-API (launcher/gss.c tells the order), an exchange to a connection.
// Pure. Frames: u32 length of the rest, little-endian, a letter, bytes.

export type GssFrame =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'token'; readonly token: Buffer }
  | { readonly kind: 'done'; readonly token: Buffer; readonly peer: string; readonly own: string }
  | { readonly kind: 'error'; readonly why: string };

export class GssError extends Error {
  readonly code = 'GSSAPI';
}

/** Of a token: Kerberos' have some 700 bytes, with many groups in them some thousands. */
export const mostTokenBytes = 60 << 10;
export const gssHeadBytes = 4;
const mostFrameBytes = 64 << 10;

export function encodeGssFrame(frame: Extract<GssFrame, { readonly kind: 'name' | 'token' }>): Buffer {
  const body = frame.kind === 'name' ? Buffer.from(frame.name) : frame.token;
  const head = Buffer.alloc(gssHeadBytes + 1);
  head.writeUInt32LE(body.length + 1, 0);
  head.write(frame.kind === 'name' ? 'N' : 'T', gssHeadBytes, 'latin1');
  return Buffer.concat([head, body]);
}

/** How many bytes follow these. @throws GssError */
export function gssFrameBytes(head: Buffer): number {
  const size = head.readUInt32LE(0);
  if (size < 1 || size > mostFrameBytes + 2048) throw new GssError(`a frame of ${size} bytes`);
  return size;
}

/** @throws GssError */
export function decodeGssFrame(body: Buffer): GssFrame {
  const rest = body.subarray(1);
  switch (String.fromCharCode(body[0] ?? 0)) {
    case 'N':
      return { kind: 'name', name: rest.toString() };
    case 'T':
      return { kind: 'token', token: rest };
    case 'E':
      return { kind: 'error', why: rest.toString() };
    case 'D': {
      const size = rest.length < 4 ? Infinity : rest.readUInt32LE(0);
      if (size > rest.length - 4) break;
      const [peer = '', own = ''] = rest.toString('utf8', 4 + size).split('\0');
      return { kind: 'done', token: rest.subarray(4, 4 + size), peer, own };
    }
  }
  throw new GssError('a frame that makes no sense');
}

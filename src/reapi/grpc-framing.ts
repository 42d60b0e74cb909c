// gRPC's message framing: u8 compressed flag, u32 big-endian length, message. Pure.
// Lengths are checked before anything is kept; a message that claims to be compressed is refused, none was asked for.

export const maxMessageBytes = 64 * 1024 * 1024;
export const frameHeadBytes = 5;

export class FramingError extends Error {
  readonly code = 'GRPC_FRAMING';
}

/** The message with its five-byte head, in one buffer: one write, one DATA frame. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(frameHeadBytes + message.length);
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, frameHeadBytes);
  return framed;
}

/** Takes chunks as they come and gives whole messages. */
export function newDeframer(): { readonly push: (chunk: Buffer) => Buffer[]; readonly isEmpty: () => boolean } {
  let chunks: Buffer[] = [];
  let heldBytes = 0;
  const take = (): Buffer => {
    const [only] = chunks;
    return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
  };
  let neededBytes = 5;
  const push = (chunk: Buffer): Buffer[] => {
    chunks.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < neededBytes) return [];
    let rest = take();
    const messages: Buffer[] = [];
    neededBytes = 5;
    while (rest.length >= 5) {
      if (rest[0] !== 0) throw new FramingError('a compressed message came unasked');
      const size = rest.readUInt32BE(1);
      if (size > maxMessageBytes) throw new FramingError(`a message of ${size} bytes is too large`);
      neededBytes = 5 + size;
      if (rest.length < neededBytes) break;
      messages.push(rest.subarray(5, neededBytes));
      rest = rest.subarray(neededBytes);
      neededBytes = 5;
    }
    chunks = rest.length === 0 ? [] : [rest];
    heldBytes = rest.length;
    return messages;
  };
  return { push, isEmpty: () => heldBytes === 0 };
}

// What a proxy between a client and a worker can be told to do; as JSON on its control socket.

/** One byte of a connection: of the first DATA frame on the n-th call of it, in one direction. */
export type Spot = {
  /** `up`: from the client to the worker. */
  readonly direction: 'up' | 'down';
  readonly call: number;
  readonly byte: 'first' | 'middle' | 'last';
};

export type ByteAction =
  /** The connection ends, in order. */
  | 'close'
  | 'reset'
  /** Nothing more comes through, in either direction, and the connection stays. */
  | 'swallow'
  /** What came from this byte on comes twice. */
  | 'repeat'
  /** The byte is another. */
  | 'alter'
  /** From here on a hundred bytes a second. */
  | 'trickle';

export type AnswerAction =
  | 'object of another machine'
  /** A sound object whose last byte of code is another. */
  | 'object of other code'
  | 'object cut short'
  | 'empty object'
  | 'no object'
  | 'no dependency file'
  | 'bytes of another digest'
  | 'status out of range'
  | 'compiler killed'
  | 'disk full'
  | 'internal compiler error'
  | 'no result'
  | 'no message'
  | 'garbage'
  | 'always missing blobs'
  | 'files beside those asked for'
  /** The call itself ends with this gRPC status. */
  | { readonly status: number }
  /** As a worker that knows less: shoal's own way to execute is not there. */
  | 'older'
  /** As one that knows more: every message has a field that this version does not know. */
  | 'newer';

export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly at: Spot; readonly action: ByteAction; readonly times: number }
  | { readonly kind: 'line'; readonly delayMs: number; readonly bytesPerSecond: number }
  | { readonly kind: 'answers'; readonly action: AnswerAction; readonly times: number };

/** What a proxy answers to a fault that it is given: how often the one before it struck. */
export type Struck = { readonly struck: number };

export const always = 1_000_000;

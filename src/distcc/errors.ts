// What is wrong with bytes, words or settings of distcc's.

export type DistccErrorCode =
  /** The other side does not keep to the protocol. */
  | 'PROTOCOL'
  /** It does, but wants more than it may have. */
  | 'TOO_LARGE'
  /** It stopped in the middle. */
  | 'TRUNCATED'
  /** It ended before it said anything. */
  | 'SILENT'
  /** It is not sent what it waits for, or does not send, for too long. */
  | 'TIMEOUT'
  /** The request is whole, and nothing that is done for strangers. */
  | 'REFUSED'
  /** There is too much to do. */
  | 'BUSY'
  /** There is no connection to it. */
  | 'UNREACHABLE'
  /** The client has gone. */
  | 'GONE'
  /** The server could not do it; nothing is known of the job. */
  | 'FAILED';

export class DistccError extends Error {
  readonly code: DistccErrorCode;
  constructor(code: DistccErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

// Who is at the other end of a connection.

/** What a member's certificate lets it do: a worker may also compile elsewhere, an admin may also admit others. */
export type Role = 'client' | 'worker' | 'admin';

export type Peer =
  /** Over a Unix socket in a directory that only this user can enter. */
  | { readonly kind: 'local' }
  /** By a certificate of the farm. */
  | { readonly kind: 'member'; readonly name: string; readonly role: Role; readonly serial: string }
  /** Without a certificate: from this box, or where everybody is let in. A client of distcc's may have a KDC's word. */
  | { readonly kind: 'stranger'; readonly address: string; readonly principal?: string };

/** Under which a worker counts what a client has there: queue, bytes, calls. */
export function clientOf(peer: Peer): string {
  switch (peer.kind) {
    case 'local':
      return 'local';
    case 'member':
      return `member ${peer.name}`;
    case 'stranger':
      return `address ${peer.address}`;
  }
}

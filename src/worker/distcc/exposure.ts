// Where distcc's clients may be served, and what that means for who runs the box.
import { isLoopback } from '../claims.ts';

export type Exposure = {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly allow: readonly string[];
};

/** What is wrong with listening so, if anything is: clients of this protocol cannot prove who they are. */
export function exposure({ listen, allow }: Exposure): string | undefined {
  const exposed = listen.find(({ host }) => !isLoopback(host));
  if (exposed === undefined || allow.length > 0) return undefined;
  return (
    `${exposed.host}:${exposed.port} can be reached from other boxes, and distcc's clients do not prove who they are: ` +
    'say which addresses may have this box compile with --allow ADDRESS[/BITS] (or --allow-private), or listen on 127.0.0.1'
  );
}

/** What an access list means, for who gave it. */
export function openness({ listen, allow }: Exposure): string | undefined {
  if (allow.length === 0 || listen.every(({ host }) => isLoopback(host))) return undefined;
  return (
    `distcc's clients do not prove who they are: whoever has, or takes, an address of ${allow.join(', ')} can have this ` +
    'box compile, and reads and writes nothing else here; what they send goes over the network as it is'
  );
}

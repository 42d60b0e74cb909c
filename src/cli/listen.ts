// Where a server listens, as a flag says it.
import { nativePort } from '../farm/host-spec.ts';

/** `ADDR:PORT`, `[V6]:PORT`, or an address alone. */
export function parseListen(
  text: string,
  defaultPort: number = nativePort,
): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? defaultPort);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

// Who of those that a KDC vouches for may compile: distccd's --whitelist and --blacklist, a principal a line. Pure.
//
// Stock distccd compares what comes before the `@`, so a list that names alice admits every realm's alice. Here a name
// without a realm on a list of those admitted is of the server's own realm; on a list of those refused it is of any.

export type PrincipalList = { readonly kind: 'white' | 'black'; readonly names: ReadonlySet<string> };

export function parsePrincipals(kind: PrincipalList['kind'], text: string): PrincipalList {
  const lines = text.split('\n').map((line) => line.trim());
  return { kind, names: new Set(lines.filter((line) => line !== '' && !line.startsWith('#'))) };
}

/** The last `@` that is no part of a name. */
function parts(principal: string): { readonly name: string; readonly realm: string } {
  const match = /^((?:[^@\\]|\\.)*)@(.*)$/s.exec(principal);
  return match === null ? { name: principal, realm: '' } : { name: match[1] ?? '', realm: match[2] ?? '' };
}

/** `ownRealm`: of the server, where it is known. */
export function admits(list: PrincipalList | undefined, principal: string, ownRealm: string | undefined): boolean {
  if (list === undefined) return true;
  const { name, realm } = parts(principal);
  const isNamed = realm !== '' && list.names.has(principal);
  if (list.kind === 'black') return !isNamed && !list.names.has(name);
  return isNamed || (list.names.has(name) && ownRealm !== undefined && realm === ownRealm);
}

export function realmOf(principal: string): string {
  return parts(principal).realm;
}

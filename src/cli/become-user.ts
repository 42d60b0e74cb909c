// Root gives its rights away, for good: what parses strangers' requests need not be root.
import { chownSync, mkdirSync, readFileSync } from 'node:fs';

export class UserError extends Error {
  readonly code = 'USER';
}

/** This process becomes `user`, to whom these directories then belong. Nothing is done for who is not root. */
export function becomeUser(user: string, directories: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user);
  const [uid, gid] = [Number(line?.[2]), Number(line?.[3])];
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) throw new UserError(`--user ${user}: no such user`);
  for (const directory of directories) {
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    chownSync(directory, uid, gid);
  }
  process.setgroups?.([gid]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  process.env['HOME'] = line?.[5] ?? '/';
}

// A Kerberos realm of a test's own: a KDC on the loopback network, its database, a keytab and tickets in one directory.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { waitUntil } from '../../bench/wait.ts';

export const realmName = 'SHOAL.TEST';
/** The name that servers prove to have, wherever they listen. */
export const boxName = 'box.test';

const port = 1088;
const patienceMs = 20_000;

export type Realm = {
  readonly env: NodeJS.ProcessEnv;
  readonly keytab: string;
  /** The environment of a user who has a ticket. */
  readonly ticketOf: (user: string) => NodeJS.ProcessEnv;
  readonly stop: () => Promise<void>;
};

function canConnect(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** `services`: principals whose keys are in the keytab. */
export async function startRealm(
  directory: string,
  users: readonly string[],
  services: readonly string[],
): Promise<Realm> {
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  const inside = (name: string): string => join(directory, name);
  writeFileSync(
    inside('krb5.conf'),
    `[libdefaults]
 default_realm = ${realmName}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 ${realmName} = {
  kdc = 127.0.0.1:${port}
 }
`,
  );
  writeFileSync(
    inside('kdc.conf'),
    `[kdcdefaults]
 kdc_listen = 127.0.0.1:${port}
 kdc_tcp_listen = 127.0.0.1:${port}
[realms]
 ${realmName} = {
  database_name = ${inside('principal')}
  key_stash_file = ${inside('stash')}
 }
[logging]
 kdc = FILE:${inside('kdc.log')}
`,
  );
  const env = { ...process.env, KRB5_CONFIG: inside('krb5.conf'), KRB5_KDC_PROFILE: inside('kdc.conf') };
  const keytab = inside('keytab');
  const quiet = { env, stdio: 'ignore' } as const;
  const admin = (query: string): unknown => execFileSync('/usr/sbin/kadmin.local', ['-q', query], quiet);
  execFileSync('/usr/sbin/kdb5_util', ['create', '-s', '-P', 'secret', '-r', realmName], quiet);
  for (const user of users) admin(`addprinc -pw ${user} ${user}`);
  for (const service of services) {
    admin(`addprinc -randkey ${service}`);
    admin(`ktadd -k ${keytab} ${service}`);
  }
  const kdc = spawn('/usr/sbin/krb5kdc', ['-n'], quiet);
  const closed = once(kdc, 'close');
  let isUp = false;
  const look = async (): Promise<void> => {
    while (!isUp && kdc.exitCode === null) isUp = await canConnect();
  };
  void look();
  await waitUntil('the KDC answers', patienceMs, () => isUp);
  return {
    env,
    keytab,
    ticketOf: (user) => {
      const own = { KRB5_CONFIG: inside('krb5.conf'), KRB5CCNAME: `FILE:${inside(`ticket-${user}`)}` };
      const { status } = spawnSync('kinit', [user], { env: { ...env, ...own }, input: `${user}\n` });
      if (status !== 0) throw new Error(`kinit ${user}: ${status}`);
      return own;
    },
    stop: async () => {
      kdc.kill('SIGTERM');
      await closed;
    },
  };
}

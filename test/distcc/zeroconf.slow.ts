// +zeroconf both ways, with a real avahi: stock distccd --zeroconf found by us, ours found by stock distcc. A box of its own,
// in namespaces: avahi and D-Bus have one socket each on a box.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ourDistccd } from './programs.ts';

const module = fileURLToPath(new URL('../../src/farm/distcc-zeroconf.js', import.meta.url));

// Everything below it ends with its process namespace. $1 is the scratch directory.
const box = `
set -eu
mount -t proc proc /proc; mount -t tmpfs tmpfs /run; mkdir -p /run/dbus /run/avahi-daemon; chown avahi:avahi /run/avahi-daemon
ip link set lo up
ip link add veth0 type veth peer name veth1; ip address add 10.77.0.1/24 dev veth0
ip link set veth0 up; ip link set veth1 up; ip route add 224.0.0.0/4 dev veth0
dbus-daemon --system --fork --nopidfile
avahi-daemon --no-rlimits --no-drop-root --no-chroot -D
cd $1; export HOME=$1 DISTCC_DIR=$1
until_there() { for i in $(seq 100); do "$@" && return; sleep 0.2; done; return 1; }
browse() { avahi-browse -prt _distcc._tcp | grep '^=;veth0;IPv4'; }
`;

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'shoal-zeroconf-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

function inBox(script: string): string {
  const path = join(directory, 'script');
  writeFileSync(path, `${box}${script}`);
  const argv = [
    '--mount',
    '--net',
    '--pid',
    '--fork',
    '--kill-child',
    '--propagation',
    'private',
    'bash',
    path,
    directory,
  ];
  const { status, stdout, stderr } = spawnSync('unshare', argv, { encoding: 'utf8', timeout: 100_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  return stdout;
}

const stock = `touch $1/log; chown distccd $1/log; chmod 755 $1
distccd --daemon --no-detach --zeroconf --listen 10.77.0.1 --allow 10.0.0.0/8 --user distccd --log-file $1/log -j 7 2>/dev/null &
until_there browse
`;
const ours = `${process.execPath} ${ourDistccd} --daemon --no-detach --zeroconf --listen 10.77.0.1 --port 4000 --allow 10.0.0.0/8 --log-stderr --state $1/state -j 5 2>$1/ours &
own=$!
until_there browse
`;

/** Of a line of avahi-browse: its words are told in any order. */
function told(out: string): { readonly name: string; readonly port: string; readonly keys: readonly string[] } {
  const fields = out.split('\n').find((line) => line.startsWith('=;veth0;IPv4')) ?? '';
  const [, , , name = '', , , , , port = ''] = fields.split(';');
  return {
    name,
    port,
    keys: [...fields.matchAll(/"([a-z_]+=[^"]*)"/g)]
      .map(([, word = '']) => word.replace(/^jobs=.*/, 'jobs='))
      .toSorted(),
  };
}

test('our search finds stock distccd --zeroconf, with its jobs', () => {
  const find = `import('${module}').then(async (m) => console.log(JSON.stringify(await m.findDistccHosts(3000))))`;
  const out = inBox(`${stock}${process.execPath} -e ${JSON.stringify(find)}\n`);
  const line = out.split('\n').find((each) => each.startsWith('[')) ?? '[]';
  const hosts = JSON.parse(line) as readonly { readonly name: string; readonly limit: number }[];
  assert.deepEqual(
    hosts.map(({ name, limit }) => [name, limit]),
    [['10.77.0.1:3632', 7]],
    out,
  );
});

const shoal = `${process.execPath} ${fileURLToPath(new URL('../../shoal/main.js', import.meta.url))}`;
const builds = `printf 'int f(void) { return 3; }\n' >x.c; gcc -O1 -c x.c -o here.o
export XDG_CACHE_HOME=$1/cache XDG_STATE_HOME=$1/state SHOAL_STRICT=1
made() { cmp x.o here.o && rm x.o && echo "made $1"; }
DISTCC_HOSTS=+zeroconf SHOAL_SUMMARY=$1/summary ${shoal} run -- gcc -O1 -c x.c; made build
SHOAL_HOSTS=distcc://+zeroconf ${shoal} hosts
export DISTCC_HOSTS=+zeroconf DISTCC_FALLBACK=0 DISTCC_LOG=$1/log.own
${shoal} distcc gcc -O1 -c x.c; made compile
${shoal} stop
cat $1/summary log.own
`;

test('a build with +zeroconf has the hosts that announce themselves from its start, and so has a compile of no build', () => {
  const out = inBox(`${stock}${builds}`);
  assert.match(out, /^made build$/m, out);
  assert.match(out, /^distcc:\/\/10\.77\.0\.1:3632 +7 .*ready, approximate \(distcc\)$/m, out);
  assert.match(out, /"remote": 1,/, out);
  assert.match(out, /^made compile$/m, out);
  assert.match(out, /compile x\.c on distcc:\/\/10\.77\.0\.1:3632: status 0/, out);
});

test('stock distcc finds our distccd --zeroconf, with its jobs; its end takes it off the network', () => {
  const out = inBox(`${ours}
shown() { DISTCC_HOSTS=+zeroconf distcc --show-hosts 2>/dev/null | grep 4000; }
until_there shown
kill $own; wait $own || true
gone() { ! browse; }
until_there gone && echo gone
`);
  assert.match(out, /^10\.77\.0\.1:4000\/5$/m, out + readFileSync(join(directory, 'ours'), 'utf8'));
  assert.match(out, /^gone$/m);
});

test('what ours tells is what stock does', () => {
  const theirs = told(inBox(stock));
  const own = told(inBox(ours));
  assert.deepEqual(own.keys, theirs.keys);
  assert.equal(own.name, theirs.name);
  assert.deepEqual([theirs.port, own.port], ['3632', '4000']);
});

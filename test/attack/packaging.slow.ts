// The examples of packaging/ that stand around a worker: compiled by their own tools, and the packet filter loaded and tried
// in network namespaces of its own.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { sourceOf } from '../sandbox/fixture.ts';

const packaged = (path: string): string => sourceOf(join('packaging', path));

test('the AppArmor profile is one', () => {
  const compiled = spawnSync(
    'apparmor_parser',
    ['--skip-kernel-load', '--skip-cache', packaged('apparmor/shoal-worker')],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(compiled.status, 0, compiled.stderr);
  const names = execFileSync('apparmor_parser', ['--names', packaged('apparmor/shoal-worker')], { encoding: 'utf8' });
  assert.match(names, /^shoal-worker\nshoal-worker\/\/compiler\nshoal-worker\/\/sandbox\n/m);
});

test('the SELinux module is one, and its contexts name types that it has', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-selinux-'));
  try {
    const module = join(directory, 'shoal.mod');
    execFileSync('checkmodule', ['-M', '-m', '-o', module, packaged('selinux/shoal.te')]);
    const contexts = packaged('selinux/shoal.fc');
    execFileSync('semodule_package', ['-o', join(directory, 'shoal.pp'), '-m', module, '-f', contexts]);
    const declared = new Set(
      [...readFileSync(packaged('selinux/shoal.te'), 'utf8').matchAll(/^type (\w+);/gm)].map(([, name]) => name),
    );
    for (const [, type] of readFileSync(contexts, 'utf8').matchAll(/object_r:(\w+):/g))
      assert.ok(declared.has(type), type);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

// The worker's side is this script's own network namespace; its clients are one inside the farm's networks and one outside.
const networks = `
set -eu
ip link set lo up
ip link add farm type veth peer name inside netns "$1"
ip link add world type veth peer name outside netns "$1"
ip addr add 10.0.0.1/24 dev farm; ip link set farm up
ip addr add 203.0.113.1/24 dev world; ip link set world up
nsenter --net=/proc/"$1"/ns/net sh -c '
  ip addr add 10.0.0.2/24 dev inside; ip link set inside up
  ip addr add 203.0.113.2/24 dev outside; ip link set outside up; ip link set lo up'
nft -f "$2"; nft -f "$2"
`;

const trying = `
const net = require('node:net');
const servers = [8475, 8080].map((port) => net.createServer((socket) => socket.end('served')).listen(port, '0.0.0.0'));
Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve)))).then(() => {
  const { spawn } = require('node:child_process');
  const script = "const net = require('node:net'); const ask = (host, port) => new Promise((resolve) => { const socket = net.connect({ host, port }); socket.setTimeout(700, () => { socket.destroy(); resolve('nothing'); }); socket.once('data', (data) => resolve(String(data))); socket.once('error', (error) => resolve(error.code)); }); Promise.all([ask('10.0.0.1', 8475), ask('203.0.113.1', 8475), ask('203.0.113.1', 8080)]).then((answers) => console.log(answers.join(' ')));";
  const child = spawn('nsenter', ['--net=/proc/' + process.argv[1] + '/ns/net', process.execPath, '-e', script], { stdio: ['ignore', 'inherit', 'inherit'] });
  child.on('close', (code) => process.exit(code ?? 1));
});
`;

test('the packet filter lets in the farm’s networks and nobody else, and touches no other port', () => {
  // $1 of the inner script: a process that is in the clients' network namespace.
  const script = `
    unshare --net sleep 60 & clients=$!
    trap 'kill $clients' EXIT
    while [ "$(readlink /proc/$clients/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    sh -c "$1" sh $clients "$2"
    "$3" -e "$4" $clients
  `;
  const args = ['--net', 'sh', '-c', script, 'sh', networks, packaged('nftables/shoal.nft'), process.execPath, trying];
  const { stdout, stderr, status } = spawnSync('unshare', args, { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([stdout, status], ['served nothing served\n', 0], stderr);
});

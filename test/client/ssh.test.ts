// A worker by ssh: the program in ssh's place is one of our own, which does what sshd would.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connectWith } from '../../src/farm/connect.ts';
import { parseHosts, type NativeAddress } from '../../src/farm/host-spec.ts';
import type { ReapiClient } from '../../src/reapi/client.ts';
import { openLiveTrust } from '../../src/trust/live-trust.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { actionBlobs, blobOf, optionsIn } from '../worker/rig.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ssh-'));
const said = join(scratch, 'said');
const script = join(scratch, 'ssh');
const shoal = join(process.cwd(), 'bin/shoal.js');
// What comes behind the host's name is the command that the far shell gets.
writeFileSync(
  script,
  `#!/bin/sh
echo "$*" >>"${said}"
while [ "$1" != -- ]; do shift; done
host=$2; shift 3
case $host in
  refuses) echo "$host: Permission denied (publickey)." >&2; exit 255 ;;
  empty) exec sh -c 'exit 0' ;;
  silent) exec sleep 60 ;;
esac
exec "${process.execPath}" "${shoal}" "$@"
`,
);
chmodSync(script, 0o755);

const trust = openLiveTrust({
  find: () => ({ kind: 'none', directory: '' }),
  files: [],
  nowMs: () => Date.now(),
});
const options = await optionsIn(scratch);
const worker = await startWorker({ ...options, unixSocket: openRuntimeDir().workerSocket });
assert.ok(worker.kind === 'worker', JSON.stringify(worker));

after(async () => {
  trust.close();
  await worker.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function addressOf(word: string): NativeAddress {
  const parsed = parseHosts(word);
  assert.ok(parsed.kind === 'hosts' && parsed.hosts[0] !== undefined, JSON.stringify(parsed));
  const { address } = parsed.hosts[0];
  assert.ok(address.kind !== 'distcc');
  return address;
}

const reach = (word: string, program = script): ReapiClient =>
  connectWith(trust, { SHOAL_SSH: program }, 3000)(addressOf(word));

test('a job goes to a worker by ssh, with large inputs and outputs', async () => {
  const client = reach('ssh://me@far:2222/4');
  await client.ready();
  const large = Buffer.alloc(9_000_000, 'a line that is repeated\n');
  const action = actionBlobs({ argv: ['/bin/sh', '-c', 'cat in in >out'], tree: { in: large }, outputs: ['out'] });
  await client.upload(action.blobs);
  const { digest: actionDigest } = action;
  const outcome = await client.execute(
    { actionDigest, skipCacheLookup: true, inlineOutputs: [] },
    { deadlineMs: 20_000 },
  );
  assert.ok(outcome.kind === 'done');
  const twice = blobOf(Buffer.concat([large, large]));
  assert.deepEqual(outcome.result.outputFiles[0]?.digest, twice.digest);
  assert.equal((await client.read(twice.digest)).length, 18_000_000);
  assert.ok(client.bytes().sent > 0 && client.bytes().received > 0);
  client.close();
  assert.match(readFileSync(said, 'utf8'), /^-T .*-o BatchMode=yes .*-p 2222 -l me -- far shoal worker --stdio$/m);
});

test('what ssh says stands in the error, and what cannot be started or says nothing is told', async () => {
  await assert.rejects(reach('ssh://refuses').ready(), /status 255: refuses: Permission denied \(publickey\)/);
  await assert.rejects(reach('ssh://empty').ready(), /ended with status 0/);
  await assert.rejects(reach('ssh://silent').ready(), /no answer within 3000 ms/);
  await assert.rejects(reach('ssh://far', join(scratch, 'none')).ready(), /cannot be started: .*ENOENT/);
});

test('no host’s name becomes an option of ssh', () => {
  for (const word of ['ssh://-oProxyCommand=touch', 'ssh://-l@far', 'ssh://far:22;x', 'ssh://a b', 'ssh://$(x)']) {
    assert.equal(parseHosts(word).kind === 'hosts' && !word.includes(' '), false, word);
  }
});

test('the bridge ends with a worker that is not there, and says so', async () => {
  await worker.stop();
  await assert.rejects(reach('ssh://far').ready(), /no worker runs here: start `shoal worker`/);
});

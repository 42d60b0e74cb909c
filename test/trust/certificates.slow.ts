// What others make of a farm's certificates, and the question at a terminal: needs openssl, and script for the terminal.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { issueLeaf, makeAuthority, makeRequest } from '../../src/trust/certificates.ts';
import { newSerial } from '../../src/trust/member.ts';
import { admitOthers, shoal } from './shoal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'certificates-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const dayMs = 86_400_000;

test('openssl verifies every kind of certificate by its strictest rules, for its purpose only', async () => {
  // Also where a year no longer fits the two digits of UTCTime.
  for (const nowMs of [Date.now(), Date.UTC(2048, 0, 1)]) {
    const authority = await makeAuthority('shoal farm of box', newSerial(), nowMs);
    const ca = join(scratch, 'ca.crt');
    writeFileSync(ca, authority.caPem);
    for (const role of ['client', 'worker', 'admin'] as const) {
      const { csrPem } = await makeRequest('box-1.lan');
      const leaf = join(scratch, 'leaf.crt');
      const request = { authority, csrPem, name: 'box-1.lan', role, serial: newSerial(), nowMs };
      writeFileSync(leaf, await issueLeaf(request));
      const verify = (purpose: string, atMs = nowMs): number | null => {
        const at = String(Math.floor(atMs / 1000));
        const options = ['-x509_strict', '-check_ss_sig', '-purpose', purpose, '-attime', at, '-CAfile', ca];
        return spawnSync('openssl', ['verify', ...options, leaf], { encoding: 'utf8' }).status;
      };
      assert.equal(verify('sslclient'), 0, role);
      assert.equal(verify('sslserver') === 0, role !== 'client', role);
      assert.equal(verify('sslclient', nowMs + 29 * dayMs), 0);
      assert.notEqual(verify('sslclient', nowMs + 31 * dayMs), 0);
      assert.notEqual(verify('crlsign'), 0);
      const text = execFileSync('openssl', ['x509', '-in', leaf, '-noout', '-text'], { encoding: 'utf8' });
      assert.match(text, /CA:FALSE/);
      assert.match(text, /DNS:box-1\.lan/);
      assert.match(text, new RegExp(`OU = ${role}`));
    }
    const text = execFileSync('openssl', ['x509', '-in', ca, '-noout', '-text'], { encoding: 'utf8' });
    assert.match(text, /X509v3 Basic Constraints: critical\n\s+CA:TRUE, pathlen:0/);
    assert.match(text, /X509v3 Key Usage: critical\n\s+Certificate Sign, CRL Sign\n/);
  }
});

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** `shoal ARGS…` at a terminal, where `answer` is typed once it asks. */
async function atTerminal(state: string, args: readonly string[], answer: string): Promise<string> {
  const command = [process.execPath, main, ...args].join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], HOME: state, XDG_STATE_HOME: state, TERM: 'dumb' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  let answered = false;
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString();
    if (answered || !text.includes('[y/N] ')) return;
    answered = true;
    child.stdin.write(answer);
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return `${text}\nstatus ${status}`;
}

test('at a terminal, a person sees the farm before anything is sent, and can say no', async () => {
  const [admin, box] = [mkdtempSync(join(scratch, 'box-')), mkdtempSync(join(scratch, 'box-'))];
  const code = (await shoal(admin, 'pair')).stdout.trim();
  const server = await admitOthers(join(admin, 'shoal', 'worker', 'identity'));
  try {
    const args = ['join', code, `127.0.0.1:${server.port}`, '--name', 'eva'];
    for (const answer of ['n\r', '\r', 'nonsense\r']) {
      const refused = await atTerminal(box, args, answer);
      assert.match(refused, /fingerprint +([0-9a-f]{4} ){7}/);
      assert.match(refused, /Join this farm\? \[y\/N\]/);
      assert.match(refused, /not joined: nothing was sent, the code is still good\s+status 1$/);
    }
    // End of input, as from a terminal that is closed.
    assert.match(await atTerminal(box, args, '\u0004'), /not joined[^]*status 1$/);
    assert.equal(existsSync(join(box, 'shoal', 'identity')), false);
    assert.match(await atTerminal(box, args, 'y\r'), /joined shoal farm of \S+ as eva \(client\)[^]*status 0$/);
  } finally {
    server.close();
  }
});

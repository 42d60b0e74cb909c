import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { DistccError } from '../distcc/errors.ts';
import { askServer } from '../distcc/exchange.ts';
import { newPacketCache } from '../distcc/sent-files.ts';
import type { DistccHost } from '../distcc/host-list.ts';
import { parseDistccHosts } from '../distcc/host-words.ts';
import { distccWay } from './distcc-host.ts';

/** What comes of a job at a host by a program that is called as ssh. */
async function askBy(t: TestContext, script: string): Promise<unknown> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-way-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const program = join(directory, 'ssh');
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
  const parsed = parseDistccHosts('somebody@somewhere/1');
  assert.ok(parsed.kind === 'hosts');
  const [host] = parsed.list.hosts;
  const way = distccWay({ PATH: process.env['PATH'], DISTCC_SSH: program }, async () => undefined, newPacketCache());
  const { signal } = new AbortController();
  const stream = await way.open(host as DistccHost, signal);
  const limits = { idleMs: 20_000, answerMs: 20_000, bodyBytes: 1 << 20, nowMs: () => performance.now() };
  return askServer(stream, { version: 1, request: [Buffer.alloc(100_000)], signal, ...limits }).catch(
    (error: unknown) => error,
  );
}

test('a program that does not get there is the reason, in its own words', async (t) => {
  for (let times = 0; times < 40; times += 1) {
    const error = await askBy(t, 'echo no route to it >&2; exit 255');
    assert.ok(error instanceof DistccError);
    assert.deepEqual([error.code, error.message.replace(/.*\//, '')], ['UNREACHABLE', 'ssh: no route to it']);
  }
});

test('a server that ends without an answer is a silent one by ssh, too', async (t) => {
  for (const end of ['exit 0', 'exit 110']) {
    const error = await askBy(t, `head -c 100 >/dev/null; ${end}`);
    assert.ok(error instanceof DistccError);
    assert.equal(error.code, 'SILENT', end);
  }
});

test('without a descriptor for its streams no program is started, and nothing breaks', () => {
  const script = `
    import { openSync } from 'node:fs';
    import { distccWay } from ${JSON.stringify(new URL('./distcc-host.js', import.meta.url))};
    import { openWire } from ${JSON.stringify(new URL('../reapi/wire.js', import.meta.url))};
    const way = distccWay({ DISTCC_SSH: '/bin/true' }, async () => undefined, undefined);
    const host = { transport: { kind: 'ssh', host: 'somewhere' } };
    const why = [];
    try { for (;;) openSync('/dev/null'); } catch {}
    await way.open(host, new AbortController().signal).catch((error) => why.push(error.code));
    try { openWire({ kind: 'program', argv: ['/bin/true'] }); } catch (error) { why.push(error.message); }
    setTimeout(() => process._rawDebug(why.join()), 20);
  `;
  const argv = ['-c', 'ulimit -n 60; exec "$@" 2>&1', 'sh', process.execPath, '--input-type=module', '-e', script];
  const said = execFileSync('sh', argv, { encoding: 'utf8' });
  assert.equal(said.trim(), 'UNREACHABLE,/bin/true cannot be started: this process may open no more files');
});

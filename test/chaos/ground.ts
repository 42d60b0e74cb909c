// A farm with a proxy before its first worker, and one build after the other on it, each with its own trouble.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { startDaemon } from '../../bench/processes.ts';
import { waitUntil } from '../../bench/wait.ts';
import { farmFor, type Ending, type Farm } from '../farm/farm.ts';
import type { Summary } from '../../src/observe/tally.ts';
import type { Fault, Struck } from './fault.ts';
import type { Project } from './project.ts';

export type Built = { readonly wallMs: number; readonly summary: Summary; readonly output: string };

export type Ground = {
  readonly farm: Farm;
  /** The first worker by its proxy, the second, and the first without the proxy. */
  readonly hosts: { readonly proxied: string; readonly second: string; readonly first: string };
  /** Gives the proxy a fault; answers how often the one before it struck. */
  readonly setFault: (fault: Fault) => Promise<number>;
  /** Builds it here, without shoal, as what every build is compared with; answers how long that took. */
  readonly buildAtHome: (project: Project) => Promise<number>;
  /** Builds it on the farm while `meanwhile` does its worst. Throws unless all it leaves is as at home, and nothing else. */
  readonly build: (project: Project, options: BuildOptions) => Promise<Built>;
};

export type BuildOptions = {
  readonly hosts: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly meanwhile?: () => Promise<void>;
  /** In place of `make -j8`. */
  readonly command?: readonly string[];
};

const proxyPort = 9000;
const workerPort = 8475;
// More than the sound worker's slots: the faulty one gets its share, however fast the other seems.
const jobs = '-j8';

export async function groundFor(test: Ending): Promise<Ground> {
  const farm = await farmFor(test, 2);
  const [first, second] = farm.places;
  assert.ok(first !== undefined && second !== undefined);
  const control = join(farm.directory, 'proxy.sock');
  const log = join(farm.directory, 'proxy.log');
  const script = join(process.cwd(), 'dist/test/chaos/proxy.js');
  const address = first.host.address;
  const proxy = startDaemon(first, {
    argv: [process.execPath, script, address, String(proxyPort), String(workerPort), control],
    log,
  });
  test.after(() => proxy.stop());
  await waitUntil('the proxy', 5000, () => readFileSync(log, 'utf8').includes('ready'));
  const atHome = new Map<Project, ReadonlyMap<string, Buffer>>();
  return {
    farm,
    hosts: {
      proxied: `${address}:${proxyPort}/4`,
      second: `${second.host.address}:${workerPort}/2`,
      first: `${address}:${workerPort}/4`,
    },
    setFault: async (fault) => tell(control, fault),
    buildAtHome: async (project) => {
      project.renew();
      const { status, output, wallMs } = await farm.run({ argv: ['make', jobs, '--silent'], cwd: project.directory });
      assert.equal(status, 0, output);
      atHome.set(project, project.products());
      return wallMs;
    },
    build: (project, options) => build(farm, { project, expected: atHome.get(project) ?? assert.fail(), ...options }),
  };
}

async function tell(control: string, fault: Fault): Promise<number> {
  const socket = connect(control);
  socket.write(`${JSON.stringify(fault)}\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return (JSON.parse(answer.toString()) as Struck).struck;
}

type Building = BuildOptions & { readonly project: Project; readonly expected: ReadonlyMap<string, Buffer> };

async function build(farm: Farm, { project, expected, hosts, env, meanwhile, command }: Building): Promise<Built> {
  const file = join(farm.directory, 'summary.json');
  rmSync(file, { force: true });
  project.renew();
  const running = farm.shoal(command ?? ['make', jobs, '--silent'], {
    cwd: project.directory,
    env: { SHOAL_HOSTS: hosts.join(' '), SHOAL_SUMMARY: file, ...env },
  });
  const [{ status, wallMs, output }] = await Promise.all([running, meanwhile?.()]);
  const left = farm.remains();
  if (left.length > 0) await farm.shoal(['stop'], { cwd: project.directory });
  assert.equal(status, 0, output);
  // Its own lines apart, nothing was said: no compiler's last words.
  assert.equal(output.replaceAll(/^(?:shoal: | {2}).*\n/gm, ''), '');
  assert.deepEqual(otherProducts(expected, project.products()), []);
  assert.deepEqual(left, []);
  const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  assert.equal(summary.failed, 0, output);
  return { wallMs, summary, output };
}

/** Names of what is missing, too much, or of other bytes. */
function otherProducts(expected: ReadonlyMap<string, Buffer>, actual: ReadonlyMap<string, Buffer>): string[] {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].filter((name) => {
    const [one, other] = [expected.get(name), actual.get(name)];
    return one === undefined || other === undefined || !one.equals(other);
  });
}

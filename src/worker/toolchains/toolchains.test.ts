import assert from 'node:assert/strict';
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { inDirectory } from '../../../test/worker/rig.ts';
import type { NotACompiler, Toolchain, ToolchainFile } from '../../compiler/toolchain.ts';
import { digestOf } from '../../reapi/digest.ts';
import { openToolchains, type ToolchainEvent, type WorkerToolchains } from './toolchains.ts';

/** A box of its own: compilers are files whose content is their version. */
function fakeBox(directory: string) {
  const box = join(directory, 'box');
  mkdirSync(box);
  const put = (name: string, content: string): void => {
    writeFileSync(join(box, name), content);
    utimesSync(join(box, name), 1_600_000_000, 1_600_000_000);
  };
  const fileOf = (name: string): ToolchainFile => {
    const bytes = readFileSync(join(box, name));
    return {
      path: join(box, name),
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
      executable: name.startsWith('cc'),
    };
  };
  const identify = async (driver: string): Promise<Toolchain | NotACompiler> => {
    const names = readdirSync(box).filter((name) => name.startsWith(driver) || name.startsWith('shared'));
    if (!names.includes(driver)) return Promise.resolve({ kind: 'not-a-compiler', why: 'gone' });
    const files = names.map(fileOf);
    const symlinks = [{ path: join(box, 'link'), target: driver }];
    const directories = [join(box, 'empty')];
    return Promise.resolve({
      kind: 'toolchain',
      family: 'gcc',
      target: '',
      version: readFileSync(join(box, driver), 'utf8'),
      driver,
      aliases: [],
      cplusplusDriver: false,
      digest: digestOf(Buffer.from(JSON.stringify(files))),
      tree: { files, symlinks, directories, messages: new Map() },
      ownDirectories: [],
      watch: names.map((name) => join(box, name)),
      isInside: () => false,
    });
  };
  const open = async (
    drivers: readonly string[],
    log: (event: ToolchainEvent) => void = () => undefined,
  ): Promise<WorkerToolchains> => {
    const laid = join(directory, 'toolchains');
    mkdirSync(laid, { recursive: true });
    return openToolchains({
      directory: laid,
      discover: async () => Promise.resolve(drivers),
      identify,
      searched: [box],
      log,
    });
  };
  return { box, put, open };
}

test('a toolchain is laid out as it is on the box, read-only and with its times', () =>
  inDirectory(async (directory) => {
    const { box, put, open } = fakeBox(directory);
    put('cc1', 'one');
    put('shared', 'library');
    put('shared-too', 'library');
    put('shared-large', 'x'.repeat(1_500_000));
    const toolchains = await open(['cc1']);
    const [announced] = toolchains.announced();
    assert.ok(announced?.digest !== undefined);
    const place = await toolchains.directory(announced.digest);
    assert.ok(place !== undefined);
    const at = (name: string): string => join(place, box, name);
    assert.equal(readFileSync(at('cc1'), 'utf8'), 'one');
    assert.equal(statSync(at('cc1')).mode & 0o777, 0o555);
    assert.equal(statSync(at('shared-large')).mode & 0o777, 0o444);
    assert.equal(statSync(at('shared-large')).mtimeMs, 1_600_000_000_000);
    assert.notEqual(statSync(at('shared')).ino, statSync(at('shared-too')).ino);
    assert.equal(readlinkSync(at('link')), 'cc1');
    assert.ok(statSync(at('empty')).isDirectory());
    assert.equal(await toolchains.directory(digestOf(Buffer.from('another'))), undefined);
    toolchains.close();
  }));

test('what two toolchains have in common is on disk once', () =>
  inDirectory(async (directory) => {
    const { box, put, open } = fakeBox(directory);
    for (const name of ['cc1', 'cc2', 'shared']) put(name, name);
    const toolchains = await open(['cc1', 'cc2']);
    const places: string[] = [];
    for (const { digest } of toolchains.announced()) {
      assert.ok(digest !== undefined);
      places.push((await toolchains.directory(digest)) ?? '');
    }
    const inodes = places.map((place) => statSync(join(place, box, 'shared')).ino);
    assert.equal(new Set(places).size, 2);
    assert.equal(new Set(inodes).size, 1);
    toolchains.close();
  }));

const untilVersion = async (toolchains: WorkerToolchains, version: string): Promise<void> => {
  toolchains.recheck();
  while (toolchains.announced()[0]?.version !== version) await new Promise((resolve) => setImmediate(resolve));
};

test('an upgraded compiler is announced anew, and jobs that name the old one still have it', () =>
  inDirectory(async (directory) => {
    const { box, put, open } = fakeBox(directory);
    put('cc1', 'old');
    const events: ToolchainEvent[] = [];
    const toolchains = await open(['cc1'], (event) => events.push(event));
    const [old] = toolchains.announced();
    assert.ok(old?.digest !== undefined);
    const place = await toolchains.directory(old.digest);
    put('cc1', 'newer');
    await untilVersion(toolchains, 'newer');
    assert.equal(toolchains.announced().length, 1);
    assert.equal(await toolchains.directory(old.digest), place);
    assert.equal(readFileSync(join(place ?? '', box, 'cc1'), 'utf8'), 'old');
    put('cc1', 'old');
    await untilVersion(toolchains, 'old');
    assert.equal(await toolchains.directory(old.digest), place);
    const [found, gone] = ['toolchain-found', 'toolchain-gone'];
    assert.deepEqual(
      events.map(({ kind }) => kind),
      [found, gone, found, gone, found],
    );
    toolchains.close();
  }));

test('a compiler that changed before its first job is not run under its old name', () =>
  inDirectory(async (directory) => {
    const { put, open } = fakeBox(directory);
    put('cc1', 'old');
    const toolchains = await open(['cc1']);
    const [old] = toolchains.announced();
    assert.ok(old?.digest !== undefined);
    put('cc1', 'newer');
    assert.equal(await toolchains.directory(old.digest), undefined);
    await untilVersion(toolchains, 'newer');
    assert.equal(await toolchains.directory(old.digest), undefined);
    toolchains.close();
  }));

test('a layout of an earlier process is used again if it is whole, mended if not, and removed if nobody needs it', () =>
  inDirectory(async (directory) => {
    const { box, put, open } = fakeBox(directory);
    put('cc1', 'one');
    const digestIn = (toolchains: WorkerToolchains) => toolchains.announced()[0]?.digest ?? assert.fail();
    const before = await open(['cc1']);
    const place = (await before.directory(digestIn(before))) ?? '';
    before.close();
    const { ino } = statSync(place);
    const again = await open(['cc1']);
    assert.equal(await again.directory(digestIn(again)), place);
    assert.equal(statSync(place).ino, ino);
    again.close();
    rmSync(join(place, box, 'cc1'));
    writeFileSync(join(place, box, 'cc1'), 'cut');
    const mended = await open(['cc1']);
    assert.equal(readFileSync(join((await mended.directory(digestIn(mended))) ?? '', box, 'cc1'), 'utf8'), 'one');
    mended.close();
    put('cc1', 'two');
    (await open(['cc1'])).close();
    assert.deepEqual(readdirSync(join(directory, 'toolchains')), []);
  }));

// Options and variables that make a compiler execute, read or write something else. They work, as at home: what they start
// is in the same sandbox, and finds nothing there.
import { compileOf, home, type Attack, type Ground } from '../ground.ts';
import type { Tree } from '../../worker/rig.ts';

const ok: Tree = { 'x.c': 'int f(void) { return 1; }\n' };
const usual = ['-c', 'x.c', '-o', 'x.o'];
/** The plugin has run, and `nothing` holds that it could do nothing. */
const ran = /the plugin runs/;

type Way = {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: (ground: Ground) => Tree;
};

/** Foreign code inside the compiler or beside it. */
function foreign(name: string, way: Way, gets: Attack['gets']): Attack {
  return {
    name,
    action: (ground) =>
      compileOf(
        ground,
        [...(way.args ?? []), ...usual],
        { ...ok, ...way.files?.(ground) },
        {
          env: { PATH: '/usr/bin:/bin', ATTACK_SECRET: `${ground.outside}/secret`, ...way.env },
        },
      ),
    gets,
  };
}

const plugin = ({ plugin: bytes }: Ground): Tree => ({ 'evil.so': { program: bytes } });
const preload = { LD_PRELOAD: `${home}/evil.so` };
/** In place of the assembler: it writes to the box, and is not able to; then there is no object. */
const asAssembler = ({ attacker }: Ground): Tree => ({ 'bin/as': { program: attacker } });
const noObject = { kind: 'nothing' } as const;

/** Options that write where they are told. Nothing comes out but the outputs asked for. */
function writing(
  name: string,
  args: (outside: string) => readonly string[],
  env: (outside: string) => Readonly<Record<string, string>> = () => ({}),
): Attack {
  return {
    name,
    action: (ground) =>
      compileOf(
        ground,
        args(ground.outside),
        { ...ok, args: `-MD -MF ${ground.outside}/args` },
        {
          env: { PATH: '/usr/bin:/bin', ...env(ground.outside) },
        },
      ),
    gets: { kind: 'fails', stderr: /No such file|cannot open|Permission denied|error/ },
  };
}

export const options: readonly Attack[] = [
  foreign('-fplugin', { args: ['-fplugin=./evil.so'], files: plugin }, { kind: 'nothing', stderr: ran }),
  foreign(
    '-iplugindir',
    { args: [`-iplugindir=${home}`, '-fplugin=evil'], files: plugin },
    { kind: 'nothing', stderr: ran },
  ),
  foreign(
    '@file with -fplugin',
    { args: ['@evil'], files: (ground) => ({ ...plugin(ground), evil: '-fplugin=./evil.so' }) },
    { kind: 'nothing', stderr: ran },
  ),
  foreign('LD_PRELOAD', { env: preload, files: plugin }, { kind: 'nothing', stderr: ran }),
  foreign(
    'LD_LIBRARY_PATH',
    { env: { LD_LIBRARY_PATH: home }, files: ({ plugin: bytes }) => ({ 'libc.so.6': { program: bytes } }) },
    { kind: 'fails' },
  ),
  foreign('LD_AUDIT', { env: { LD_AUDIT: `${home}/evil.so` }, files: plugin }, { kind: 'nothing', stderr: ran }),
  foreign(
    'GCONV_PATH, LOCPATH, MALLOC_TRACE',
    { env: { GCONV_PATH: home, LOCPATH: home, MALLOC_TRACE: '/etc/x' }, files: plugin },
    { kind: 'nothing' },
  ),
  foreign('-B', { args: ['-Bbin/'], files: asAssembler }, noObject),
  foreign('GCC_EXEC_PREFIX', { env: { GCC_EXEC_PREFIX: `${home}/bin/` }, files: asAssembler }, { kind: 'fails' }),
  foreign('COMPILER_PATH', { env: { COMPILER_PATH: `${home}/bin` }, files: asAssembler }, noObject),
  foreign('PATH', { env: { PATH: `${home}/bin:/usr/bin` }, files: asAssembler }, { kind: 'nothing' }),
  foreign(
    '-specs',
    {
      args: ['-specs=evil'],
      files: (ground) => ({
        ...asAssembler(ground),
        evil: '*cc1_options:\n+ -imacros /etc/shadow\n',
      }),
    },
    { kind: 'fails', stderr: /No such file/ },
  ),
  foreign('-wrapper', { args: ['-wrapper', `${home}/bin/as,walk,/root/`], files: asAssembler }, noObject),
  foreign(
    '-no-canonical-prefixes with a driver of one’s own',
    { args: ['-no-canonical-prefixes', `--sysroot=${home}`] },
    { kind: 'nothing' },
  ),
  writing('-o outside', (outside) => ['-c', 'x.c', '-o', `${outside}/x.o`]),
  writing('-MF outside', (outside) => ['-MD', '-MF', `${outside}/x.d`, ...usual]),
  writing('-MF outside, in @file', () => ['@args', ...usual]),
  writing('-o through the leader’s root', () => ['-c', 'x.c', '-o', '/proc/1/root/tmp/x.o']),
  writing('-o onto the compiler’s own files', () => ['-c', 'x.c', '-o', '/proc/self/exe']),
  writing('-save-temps and -dumpdir outside', (outside) => ['-save-temps=obj', '-dumpdir', `${outside}/`, ...usual]),
  writing('-aux-info outside', (outside) => ['-aux-info', `${outside}/x`, ...usual]),
  writing('-fdump outside', (outside) => [`-fdump-tree-all=${outside}/dump`, ...usual]),
  writing('-fprofile-note outside', (outside) => ['-ftest-coverage', `-fprofile-note=${outside}/x.gcno`, ...usual]),
  writing('-fdiagnostics-format to a file outside', (outside) => [
    '-fdiagnostics-format=sarif-file',
    '-dumpdir',
    `${outside}/`,
    '-dumpbase',
    `${outside}/x`,
    ...usual,
    '-fplugin=none',
  ]),
  foreign('-Wa with a listing outside', { args: ['-Wa,-a=/etc/list'] }, { kind: 'nothing', stdout: /LISTING/ }),
  foreign('-Wa with an output outside', { args: ['-Wa,--MD,/etc/x.d'] }, { kind: 'nothing', stderr: /can't open/ }),
  writing(
    'DEPENDENCIES_OUTPUT outside',
    () => usual,
    (outside) => ({ DEPENDENCIES_OUTPUT: `${outside}/deps` }),
  ),
  writing(
    'SUNPRO_DEPENDENCIES outside',
    () => usual,
    (outside) => ({ SUNPRO_DEPENDENCIES: `${outside}/deps` }),
  ),
];

export const clangOptions: readonly Attack[] = [
  foreign('clang -fplugin', { args: ['-fplugin=./evil.so'], files: plugin }, { kind: 'nothing', stderr: ran }),
  foreign(
    'clang -load',
    { args: ['-Xclang', '-load', '-Xclang', './evil.so'], files: plugin },
    { kind: 'nothing', stderr: ran },
  ),
  foreign('clang -fpass-plugin', { args: ['-fpass-plugin=./evil.so'], files: plugin }, { kind: 'fails', stderr: ran }),
  foreign('clang LD_PRELOAD', { env: preload, files: plugin }, { kind: 'nothing', stderr: ran }),
  foreign(
    'clang -B, with an assembler of one’s own',
    { args: ['-Bbin/', '-fno-integrated-as'], files: asAssembler },
    noObject,
  ),
  foreign(
    'clang --config',
    { args: ['--config', './evil'], files: () => ({ evil: '-imacros /etc/shadow' }) },
    { kind: 'fails', stderr: /not found/ },
  ),
  foreign(
    'clang -ivfsoverlay',
    {
      args: ['-ivfsoverlay', './evil', '-imacros', '/virtual/x'],
      files: () => ({
        evil: '{"version":0,"roots":[{"name":"/virtual/x","type":"file","external-contents":"/etc/shadow"}]}',
      }),
    },
    { kind: 'fails', stderr: /not found|No such/ },
  ),
  writing('clang -MJ outside', (outside) => ['-MJ', `${outside}/x.json`, ...usual]),
  foreign(
    'clang -serialize-diagnostics outside',
    { args: ['-serialize-diagnostics', '/etc/x.dia'] },
    { kind: 'nothing', stderr: /unable to open/ },
  ),
];

export const temporary: readonly Attack[] = ['/../../../tmp', '/proc/1/root/tmp', '/etc/../..'].map((place) => ({
  name: `TMPDIR=${place}`,
  action: (ground) => compileOf(ground, usual, ok, { env: { PATH: '/usr/bin:/bin', TMPDIR: place } }),
  gets: { kind: 'nothing' },
}));

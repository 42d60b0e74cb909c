// Joins what tsc made into a few files, dist/shoal, after tsc: part of `npm run build`. A build starts the command line and
// the daemon each time, and Node takes 0.6 ms to load a module, of which the daemon alone has ninety.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

await build({
  cwd: root,
  input: { main: 'dist/src/cli/main.js', native: 'dist/src/native.js' },
  platform: 'node',
  // What only some commands load, and has files of its own beside it, stays as it was installed.
  external: Object.keys(dependencies).filter((name) => name !== '@bufbuild/protobuf'),
  // Two levels below the package's root, as dist/src is: native.ts finds the root from there.
  output: { dir: 'dist/shoal', cleanDir: true },
  logLevel: 'warn',
});

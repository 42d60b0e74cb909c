// Joins what tsc made into a few files, dist/shoal, after tsc: part of `npm run build`. A build starts the command line and
// the daemon each time, and Node takes 0.6 ms to load a module, of which the daemon alone has ninety.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

// What each build starts, and what a worker is: each a file of its own, with nothing in it that only others need. Joined
// with all the rest, what they share lies in some forty files, and brings along what others share with it.
const alone = ['daemon', 'run', 'worker', 'front'];

const options = {
  cwd: root,
  platform: 'node',
  // What only some commands load, and has files of its own beside it, stays as it was installed.
  external: Object.keys(dependencies).filter((name) => name !== '@bufbuild/protobuf'),
  logLevel: 'warn',
};
// Two levels below the package's root, as dist/src is: native.ts finds the root from there.
const dir = 'dist/shoal';

const leaveAlone = {
  name: 'leave-alone',
  resolveId: (id, importer) =>
    alone.some((name) => id === `./${name}.js`) && importer?.endsWith('/cli/main.js') ? { id, external: true } : null,
};

await build({
  ...options,
  input: { main: 'dist/src/cli/main.js', native: 'dist/src/native.js' },
  plugins: [leaveAlone],
  output: { dir, cleanDir: true },
});
for (const name of alone) await build({ ...options, input: { [name]: `dist/src/cli/${name}.js` }, output: { dir } });

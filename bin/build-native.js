// Builds the C programs into native/<arch>, after tsc: part of `npm run build`.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from '../dist/shoal/native.js';

await buildNative(join(fileURLToPath(new URL('..', import.meta.url)), 'native', process.arch));

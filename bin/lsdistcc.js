#!/usr/bin/env node
// What npm links as `lsdistcc`: which hosts run a distccd.
import { main } from '../dist/shoal/main.js';

await main(['lsdistcc', ...process.argv.slice(2)]);

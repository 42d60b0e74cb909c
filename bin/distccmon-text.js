#!/usr/bin/env node
// What npm links as `distccmon-text`: the compiles under way, as distcc's monitor shows them.
import { main } from '../dist/shoal/main.js';

await main(['distccmon-text', ...process.argv.slice(2)]);

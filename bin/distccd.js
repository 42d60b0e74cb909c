#!/usr/bin/env node
// What npm links as `distccd`: a server for distcc's clients, by distccd's own command line.
import { main } from '../dist/shoal/main.js';

await main(['distccd', ...process.argv.slice(2)]);

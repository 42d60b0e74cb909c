#!/usr/bin/env node
// What npm links as `pump`: an include server for distcc's clients.
import { main } from '../dist/shoal/main.js';

await main(['pump', ...process.argv.slice(2)]);

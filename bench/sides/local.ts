// Builds that use no farm: the compiler itself, make alone, and ccache before it has seen anything.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeTask, type Side } from '../side.ts';

export const local: Side = {
  name: 'local',
  note: 'make with g++, at home',
  needs: ['make', 'g++'],
  input: undefined,
  start: async () => ({ command: (build) => makeTask(build, {}, {}), daemons: [] }),
};

/** The floor that no launcher can be under. */
export const nothing: Side = {
  name: 'make only',
  note: 'make with a compiler that does nothing (/bin/true)',
  needs: ['make'],
  input: undefined,
  start: async () => ({ command: (build) => makeTask(build, { CC: '/bin/true', CXX: '/bin/true' }, {}), daemons: [] }),
};

export const ccache: Side = {
  name: 'ccache cold',
  note: 'at home; its cache is empty at the start',
  needs: ['ccache'],
  input: undefined,
  start: async ({ scratch }) => {
    const env = { HOME: scratch, CCACHE_DIR: join(scratch, 'ccache') };
    mkdirSync(env.CCACHE_DIR);
    return { command: (build) => makeTask(build, { CC: 'ccache gcc', CXX: 'ccache g++' }, env), daemons: [] };
  },
};

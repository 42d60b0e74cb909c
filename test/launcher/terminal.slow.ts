// What the daemon is told of a terminal. Needs script(1), for a pseudo-terminal.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { LauncherRequest } from '../../src/client/launcher-wire.ts';
import { encodeCompleted, setStage } from './stage.ts';

const stage = setStage();
const { gcc } = stage;
after(() => {
  stage.clear();
  stage.remove();
});

test('a terminal is told with its size', async () => {
  let terminal: LauncherRequest['terminal'] | undefined;
  await stage.daemon((request, socket) => {
    terminal = request.terminal;
    socket.end(encodeCompleted({ outputs: [], stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), waitStatus: 0 }));
  });
  await stage.launch(['script', '-qec', `stty cols 91 rows 37; ${gcc} -c x.c >out`, '/dev/null']);
  assert.deepEqual(terminal, { bits: 5, columns: 91, rows: 37 });
});

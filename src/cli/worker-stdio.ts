// `shoal worker --stdio`, for ssh: leads to the worker that runs here.
import { connect } from 'node:net';
import { isOwnSocket, openRuntimeDir } from '../trust/runtime-dir.ts';
import { fail } from './fail.ts';

/** This process's standard streams lead there. Starts nothing. */
export function bridgeToWorker(): void {
  const paths = [openRuntimeDir().workerSocket, '/run/shoal/worker.sock'];
  const path = paths.find((candidate) => isOwnSocket(candidate));
  if (path === undefined) return fail('no worker runs here: start `shoal worker`', 1);
  const socket = connect(path);
  socket.once('error', (error) => fail(`the worker here cannot be reached: ${error.message}`, 1));
  socket.once('close', () => process.exit());
  process.stdin.pipe(socket).pipe(process.stdout);
}

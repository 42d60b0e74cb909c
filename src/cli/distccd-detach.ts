// distccd in the background: returns when it serves, or has said why it does not.
import { spawn } from 'node:child_process';

const startPatienceMs = 60_000;

/** Sets process.exitCode. */
export function startDetached(mainScript: string, args: readonly string[]): Promise<void> {
  const argv = [mainScript, 'distccd', ...args, '--no-detach'];
  const child = spawn(process.execPath, argv, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
  child.stderr.pipe(process.stderr, { end: false });
  return new Promise((resolve) => {
    const settle = (status: number): void => {
      clearTimeout(timer);
      process.exitCode = status;
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      resolve();
    };
    const timer = setTimeout(() => {
      process.stderr.write(`distccd: it does not serve within ${startPatienceMs / 1000} s\n`);
      child.kill('SIGTERM');
      settle(1);
    }, startPatienceMs);
    child.stdout.on('data', () => settle(0));
    child.on('close', (code) => settle(code ?? 1));
  });
}

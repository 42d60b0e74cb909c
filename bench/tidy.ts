// What has to be undone whatever happens: on a normal end, an error, Ctrl-C or SIGTERM. (After SIGKILL nothing runs: what
// then remains carries the process's id in its name, and the next start removes it.)

const undo = new Set<() => void>();
let listening = false;

/** Calls `action` when this process ends; the latest registered goes first. The answer takes the registration back. */
export function atExit(action: () => void): () => void {
  undo.add(action);
  if (!listening) {
    listening = true;
    process.once('exit', tidy);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  }
  return () => undo.delete(action);
}

function tidy(): void {
  for (const action of [...undo].toReversed()) {
    try {
      action();
    } catch (error) {
      process.stderr.write(`while tidying up: ${(error as Error).message}\n`);
    }
  }
}

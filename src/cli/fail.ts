// How a subcommand ends that cannot do what it was asked.

/** 2: the arguments are wrong; 1: what was asked cannot be done. */
export function fail(text: string, status: 1 | 2): void {
  process.stderr.write(`shoal: ${text}\n`);
  process.exitCode = status;
}

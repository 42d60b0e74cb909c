// How a subcommand ends that cannot do what it was asked.

/** True if a word is none of those that this subcommand takes: said, and the status set. */
export function refuses(args: readonly string[], known: readonly string[], usage: string): boolean {
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) fail(`${unknown}: not understood; usage: shoal ${usage}`, 2);
  return unknown !== undefined;
}

/** 2: the arguments are wrong; 1: what was asked cannot be done. */
export function fail(text: string, status: 1 | 2): void {
  process.stderr.write(`shoal: ${text}\n`);
  process.exitCode = status;
}

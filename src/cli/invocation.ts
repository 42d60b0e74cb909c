// What the command line hands to a subcommand.
export type Invocation = {
  readonly name: string;
  readonly args: readonly string[];
  /** The environment with the flags before the subcommand worked in. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly mainScript: string;
};

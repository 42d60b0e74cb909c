/** Something that a peer can send bytes to. */
export type Target = {
  readonly name: string;
  /** What it usually gets: what mutation begins with. */
  readonly seeds: readonly Buffer[];
  /** Throws, or rejects, where the bytes did what no bytes may do. */
  readonly run: (input: Buffer) => void | Promise<void>;
  readonly close?: () => Promise<void>;
};

/** Targets that need something running are opened when they are asked for. */
export type TargetTable = Readonly<Record<string, () => Target | Promise<Target>>>;

export const plain = (name: string, seeds: readonly (Buffer | string)[], run: Target['run']): (() => Target) => {
  return () => ({ name, seeds: seeds.map((seed) => Buffer.from(seed as string)), run });
};

/** Runs it; errors of these kinds are answers. */
export function tolerating(errors: readonly (new (...of: never[]) => Error)[], act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!errors.some((kind) => error instanceof kind)) throw error;
  }
}

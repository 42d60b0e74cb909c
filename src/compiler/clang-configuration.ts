// clang's configuration files: options that it takes from /etc, from the user's directory or from beside itself, by its
// name or its target. They are none of the toolchain's files, for they are each box's own, and hold whatever its words may.
import { dirname } from 'node:path';
import { runTool, type ToolEnvironment } from './run-tool.ts';

export type ClangConfiguration = {
  /** The file that it reads, if any. */
  readonly file: string | undefined;
  /** Directories where it looks for one. */
  readonly directories: readonly string[];
};

/** Of the clang whose real path is `driver`, called as `compiler`. */
export async function clangConfiguration(
  { driver }: { readonly driver: string },
  compiler: string,
  env: ToolEnvironment,
): Promise<ClangConfiguration> {
  const { stdout, stderr } = await runTool(compiler, ['-v'], env);
  const said = `${stdout}${stderr}`;
  const named = [...said.matchAll(/^(?:System|User) configuration file directory: (.+)$/gm)];
  return {
    file: /^Configuration file: (.+)$/m.exec(said)?.[1],
    directories: [dirname(driver), ...named.flatMap(([, directory]) => directory ?? [])],
  };
}

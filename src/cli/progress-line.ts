// The live line of a build: kept in the terminal's last row by a scroll region, so that make's own output scrolls above
// it untouched and every program still sees the same terminal. Where stderr is no terminal there is none.
import type { Progress } from '../client/daemon/control.ts';

const escape = '\u001b[';

export type ProgressLine = { readonly show: (progress: Progress) => void; readonly clear: () => void };

export function progressText({ running, here, waiting, remote, cached, local, slots }: Progress): string {
  const behind = waiting === 0 ? '' : `, ${waiting} waiting`;
  const done = `${remote + cached + local} done (${remote} remote, ${cached} cached, ${local} here)`;
  const queued = running > slots ? ` and ${running - slots} queued for it` : '';
  return `shoal: ${done}, ${Math.min(running, slots)} in the farm of ${slots} slots${queued}, ${here} here${behind}`;
}

/** A line on the terminal `stream`, or undefined where it is none or too small. */
export function progressLine(stream: NodeJS.WriteStream): ProgressLine | undefined {
  if (!stream.isTTY || stream.rows < 5) return undefined;
  let rows = 0;
  const reserve = (): void => {
    rows = stream.rows;
    // A newline makes room, the region leaves the last row out, and the cursor goes back up into it.
    stream.write(`\n${escape}s${escape}1;${rows - 1}r${escape}u${escape}1A`);
  };
  return {
    show: (progress) => {
      if (stream.rows !== rows) reserve();
      const text = progressText(progress).slice(0, stream.columns - 1);
      stream.write(`${escape}s${escape}${rows};1H${escape}2K${text}${escape}u`);
    },
    clear: () => {
      if (rows > 0) stream.write(`${escape}s${escape}1;${stream.rows}r${escape}${stream.rows};1H${escape}2K${escape}u`);
    },
  };
}

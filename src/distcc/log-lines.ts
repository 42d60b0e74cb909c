// What a distcc server's log says of an event, with syslog's severity. Pure.
import type { ServerEvent } from './server.ts';
import { outcome, printable } from './stats.ts';

/** By syslog's numbers. */
export const levels = { critical: 2, error: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;
export type Level = keyof typeof levels;

export type LogLine = { readonly level: Level; readonly text: string };

const turnedAway = {
  address: 'denied by access list: --allow lets an address or a network in',
  connections: 'turned away: it has too many connections',
} as const;

export function logLine(event: ServerEvent, timeoutStatus: number): LogLine {
  const client = event.client.replace(/^address /, '');
  switch (event.kind) {
    case 'accepted':
      return { level: 'debug', text: `connection from ${client}` };
    case 'authenticated':
      return { level: 'info', text: `client: ${client} is ${printable(event.principal)}` };
    case 'turned-away':
      return { level: 'warning', text: `connection from client '${client}' ${turnedAway[event.why]}` };
    case 'answered': {
      const { waitStatus } = event.response;
      const status = `exit:${(waitStatus >> 8) & 0xff} sig:${waitStatus & 0x7f}`;
      const what = printable(event.request.argv.join(' '));
      const text = `client: ${client} ${outcome(event, timeoutStatus)} ${status} time:${event.ms}ms ${what}`;
      return { level: 'notice', text };
    }
    case 'unanswered': {
      const { error, ms } = event;
      const isOurs = error.code === 'FAILED' || error.code === 'BUSY';
      const text = `client: ${client} ${outcome(event, timeoutStatus)} time:${ms}ms ${printable(error.message)}`;
      return { level: isOurs ? 'error' : 'warning', text };
    }
  }
}

const prefixed = /^<([0-9])>/;

/** As syslog's programs have it: one line, whose level comes first. */
export function encodeLogLine({ level, text }: LogLine): string {
  return `<${levels[level]}>${text.replaceAll('\n', ' ')}\n`;
}

/** A line of the front's standard error. What it says of the worker is for who looks closely; anything else is trouble. */
export function decodeLogLine(line: string): LogLine {
  const number = Number(prefixed.exec(line)?.[1]);
  const level = (Object.keys(levels) as Level[]).find((each) => levels[each] === number);
  if (level !== undefined) return { level, text: line.replace(prefixed, '') };
  const isOurs = line.startsWith('shoal: ');
  return { level: isOurs ? 'info' : 'warning', text: isOurs ? line.slice('shoal: '.length) : line };
}

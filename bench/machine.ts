// What a reader of a result must know of the machine and the tools, without naming the machine.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { accountingName } from './cpu.ts';

export function machineText(): string {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown processor';
  return [
    `machine   ${cpu}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}`,
    `CPU time  ${accountingName()}: user and system time of everything that a side starts`,
    `network   namespaces joined by veth pairs and a bridge; bytes as the client's interface counts them`,
    `compiler  ${firstLine('g++', '--version')}`,
    `node      ${process.version}`,
    `peers     ${[packageVersion('distcc'), packageVersion('icecc'), packageVersion('ccache')].join(', ')}`,
  ].join('\n');
}

function firstLine(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0] ?? '';
}

function packageVersion(name: string): string {
  try {
    return `${name} ${execFileSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8', stdio: 'pipe' })}`;
  } catch {
    return `${name} (version unknown)`;
  }
}

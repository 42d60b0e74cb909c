// `shoal explain FILE|last [--json]`: where a compile went, why there, and what then happened.
import { resolve } from 'node:path';
import { askOnce } from '../client/builds/attach.ts';
import { loadTrail } from '../client/kept/trail.ts';
import { findTrail, type Attempt, type JobTrail, type TrailEnd } from '../client/session/trail.ts';
import type { Finish } from '../farm/finish.ts';
import { homeCost } from '../farm/home.ts';
import { reasonOf } from '../observe/reasons.ts';
import { stateDir } from '../user-directories.ts';
import type { Invocation } from './invocation.ts';

const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;

function finishText({ totalMs, queueMs, transferMs, roundTripMs, compileMs }: Finish): string {
  const wait = `wait ${ms(Math.max(queueMs, transferMs))} (queue ${ms(queueMs)}, transfer ${ms(transferMs)})`;
  return `${ms(totalMs)} = ${wait} + round trip ${ms(roundTripMs)} + compile ${ms(compileMs)}`;
}

function candidateLines({ candidates, attempts, here, whyNotHere, end }: JobTrail): string[] {
  const [first] = attempts;
  const lines = candidates.map((one) => {
    if (one.kind === 'not') return `    ${one.host}: not, ${one.why}`;
    return `    ${one.host}: ${finishText(one.finish)}${one.host === first?.host ? '   <- went there' : ''}`;
  });
  if (here !== undefined) {
    const chosen = end.kind === 'here' && end.reason === 'sooner-here' ? '   <- ran here' : '';
    const there = candidates.find((one) => one.kind !== 'not' && one.host === first?.host);
    const isSooner = there !== undefined && there.kind !== 'not' && here.totalMs < there.finish.totalMs;
    const passed = chosen === '' && isSooner ? '   not asked: a slot of the farm was free' : chosen;
    lines.push(`    here: ${ms(here.totalMs)} = ${homeCost} × compile ${ms(here.compileMs)}${passed}`);
  }
  if (here === undefined && whyNotHere !== undefined) lines.push(`    here: not asked, ${whyNotHere}`);
  return lines;
}

function attemptLine({ host, sentMs, endedMs, outcome }: Attempt): string {
  const took = ms(endedMs - sentMs);
  if (outcome === 'done') return `  ${ms(sentMs)}: sent to ${host}, done after ${took}`;
  if (outcome === 'overtaken')
    return `  ${ms(sentMs)}: sent to ${host}, cancelled after ${took}: another host was done first`;
  return `  ${ms(sentMs)}: sent to ${host}, failed after ${took}: ${outcome}, ${reasonOf(outcome).sentence}`;
}

function endLine(end: TrailEnd): string {
  if (end.kind === 'remote') {
    return `  ${ms(end.endedMs)}: ended, ${end.cached ? 'a result that was known on' : 'compiled on'} ${end.host}`;
  }
  const detail = end.detail === '' ? '' : ` (${end.detail})`;
  const why = `${end.reason}${detail}: ${reasonOf(end.reason).sentence}`;
  if (end.kind === 'refused') return `  ${ms(end.endedMs)}: refused by strict mode: ${why}`;
  return end.endedMs === undefined ? `  runs here: ${why}` : `  ${ms(end.endedMs)}: ended, ran here: ${why}`;
}

export function explainText(job: JobTrail): string {
  const { source, object, work, arrivedMs, waitedMs, candidates } = job;
  const lines = [object === undefined ? source : `${source} -> ${object}`];
  if (work !== undefined) {
    const from = work.known ? 'as it took before' : `what ${work.kind} takes on the average: it was not seen before`;
    lines.push(`  expected work: ${ms(work.ms)} (${from})`);
  }
  if (candidates.length > 0) lines.push('  expected finish, the earliest first:', ...candidateLines(job));
  lines.push(`  ${ms(arrivedMs)} after the start of the build: came, and waited ${ms(waitedMs)} for its turn`);
  lines.push(...job.attempts.map(attemptLine), endLine(job.end));
  return `${lines.join('\n')}\n`;
}

async function trailFor(file: string | undefined, { env }: Invocation): Promise<JobTrail | undefined> {
  const answer = await askOnce({ op: 'explain', file });
  const running = answer?.kind === 'explained' ? answer.job : undefined;
  return running ?? findTrail(loadTrail(stateDir(env))?.jobs ?? [], file);
}

export async function explainCommand(invocation: Invocation): Promise<void> {
  const [word, ...more] = invocation.args.filter((arg) => arg !== '--json');
  if (word === undefined || more.length > 0 || word.startsWith('--')) {
    process.stderr.write('shoal: explain needs a source or an object, or `last`: shoal explain src/main.c\n');
    process.exitCode = 2;
    return;
  }
  const job = await trailFor(word === 'last' ? undefined : resolve(word), invocation);
  if (job === undefined) {
    const what = word === 'last' ? 'no compile' : `no compile of ${word}`;
    process.stderr.write(`shoal: ${what} is remembered, neither of a build that runs nor of the last one\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(invocation.args.includes('--json') ? `${JSON.stringify(job)}\n` : explainText(job));
}

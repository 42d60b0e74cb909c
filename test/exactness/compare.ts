// Two outcomes of a case compared: status or signal, both streams, and every file left.
import type { Entry, Outcome, Snapshot } from './case.ts';

const absent: Entry = { type: 'absent', mode: '', content: '' };

/** A line for everything that is not the same; empty where nobody could tell the two apart. */
export function outcomeDifferences(home: Outcome, away: Outcome, varying: readonly string[] = []): string[] {
  const ended = (one: Outcome): string => one.signal ?? String(one.status);
  return [
    ...(ended(home) === ended(away) ? [] : [`status ${ended(away)}, expected ${ended(home)}`]),
    ...textDifference('stdout', home.stdout, away.stdout),
    ...textDifference('stderr', home.stderr, away.stderr),
    ...fileDifferences(home.files, away.files, varying),
  ];
}

function fileDifferences(home: Snapshot, away: Snapshot, varying: readonly string[]): string[] {
  const names = new Set([...Object.keys(home), ...Object.keys(away)]);
  return [...names].toSorted().flatMap((name) => {
    const [expected, found] = [home[name] ?? absent, away[name] ?? absent];
    if (expected.type !== found.type) return [`${name}: ${found.type}, expected ${expected.type}`];
    if (expected.mode !== found.mode) return [`${name}: mode ${found.mode}, expected ${expected.mode}`];
    return varying.includes(name) ? [] : textDifference(name, expected.content, found.content);
  });
}

const shown = 100;

function textDifference(what: string, expected: string, found: string): string[] {
  if (expected === found) return [];
  let at = 0;
  while (expected[at] === found[at]) at += 1;
  const from = Math.max(0, at - shown / 4);
  const part = (text: string): string => JSON.stringify(text.slice(from, from + shown));
  return [`${what}: at ${at} ${part(found)}, expected ${part(expected)}`];
}

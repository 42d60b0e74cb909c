// A farm that a seed makes, with what goes wrong in it.
import type { Choices } from '../generated/choices.ts';
import { lies, type Fault, type FaultKind } from './faults.ts';
import { between, type Draw } from './draw.ts';
import type { HostPlan } from './host.ts';

const kinds: readonly FaultKind[] = [
  'refuses',
  'silent',
  'drops',
  'restarts',
  'forgets',
  'slows',
  'mute',
  'full',
  'lies',
];

/** A fault that begins within the time that the build is expected to last, now and then at its very start. */
export function makeFault(
  choices: Choices,
  draw: Draw,
  { kind, lastsMs }: { kind: FaultKind; lastsMs: number },
): Fault {
  const atMs = choices.chance(20) ? 0 : draw() * lastsMs;
  const untilMs = choices.chance(30) ? Infinity : atMs + between(draw, 500, 2 * lastsMs);
  switch (kind) {
    case 'refuses':
    case 'silent':
    case 'full':
      return { kind, fromMs: atMs, untilMs };
    case 'mute':
      return { kind, fromMs: atMs, untilMs: atMs + between(draw, 500, lastsMs) };
    case 'drops':
    case 'forgets':
      return { kind, atMs };
    case 'restarts':
      return { kind, atMs, awayMs: between(draw, 100, 20_000) };
    case 'slows':
      return { kind, atMs, times: between(draw, 2, 30) };
    case 'lies':
      return { kind, how: choices.from(lies), percent: choices.from([3, 30, 100]) };
  }
}

export function makeHost(
  choices: Choices,
  draw: Draw,
  { name, faults }: { readonly name: string; readonly faults: readonly Fault[] },
): HostPlan {
  const pace = between(draw, 0.5, 2);
  const optimised = between(draw, 0.9, 1.1);
  return {
    name,
    slots: choices.from([1, 2, 4, 4, 8, 16]),
    pace: (kind) => pace * (kind.endsWith('-O') ? optimised : 1),
    latencyMs: between(draw, 0.1, 20),
    bytesPerMs: between(draw, 1250, 125_000),
    isShoal: !choices.chance(15),
    inlines: !choices.chance(25),
    faults,
  };
}

/** So many of a hundred hosts have a fault, a few of them two. */
export function makeHosts(
  choices: Choices,
  draw: Draw,
  { count, faulty, lastsMs }: { readonly count: number; readonly faulty: number; readonly lastsMs: number },
): HostPlan[] {
  return Array.from({ length: count }, (_, at) => {
    const faults = choices.chance(faulty)
      ? Array.from({ length: choices.chance(25) ? 2 : 1 }, () =>
          makeFault(choices, draw, { kind: choices.from(kinds), lastsMs }),
        )
      : [];
    return makeHost(choices, draw, { name: `host${at}`, faults });
  });
}

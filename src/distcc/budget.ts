// How much memory all requests may take, until they are answered. Above that none is read on until there is room: those that
// are whole are compiled, and make it. Only where none is whole the oldest goes on, so that one always does. Pure: who has
// the sockets pauses them.

export type Share = {
  /** How many bytes it holds now. */
  readonly holds: (bytes: number) => void;
  /** All of it has come: it holds its bytes, and asks for no more. */
  readonly isWhole: () => void;
  readonly release: () => void;
};

export type Flow = { readonly pause: () => void; readonly resume: () => void };

export type Budget = { readonly join: (flow: Flow) => Share; readonly heldBytes: () => number };

type Member = { readonly flow: Flow; bytes: number; arrives: boolean; paused: boolean };

export function newBudget(mostBytes: number): Budget {
  // A Set keeps the order of arrival.
  const members = new Set<Member>();
  let held = 0;

  const settle = (): void => {
    let mayGoOn = [...members].every(({ arrives, bytes }) => arrives || bytes === 0);
    for (const member of members) {
      if (!member.arrives) continue;
      const pause = held > mostBytes && !mayGoOn;
      mayGoOn = false;
      if (pause === member.paused) continue;
      member.paused = pause;
      if (pause) member.flow.pause();
      else member.flow.resume();
    }
  };

  const join: Budget['join'] = (flow) => {
    const member: Member = { flow, bytes: 0, arrives: true, paused: false };
    members.add(member);
    settle();
    return {
      holds: (bytes) => {
        held += bytes - member.bytes;
        member.bytes = bytes;
        settle();
      },
      isWhole: () => {
        member.arrives = false;
        settle();
      },
      release: () => {
        held -= member.bytes;
        member.bytes = 0;
        members.delete(member);
        settle();
      },
    };
  };

  return { join, heldBytes: () => held };
}

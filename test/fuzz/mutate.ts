// Inputs out of inputs, by a seed.

export type Draw = (below: number) => number;

/** mulberry32. */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % Math.max(1, below);
  };
}

// Where lengths and counts turn over.
const edges = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff];
const maxBytes = 4096;

type Mutation = (input: Buffer, draw: Draw, other: Buffer) => Buffer;

const cut = (input: Buffer, draw: Draw): readonly [number, number] => {
  const from = draw(input.length + 1);
  return [from, from + draw(Math.min(64, input.length - from) + 1)];
};

const mutations: readonly Mutation[] = [
  (input, draw) => {
    const out = Buffer.from(input);
    if (out.length > 0) out[draw(out.length)] = draw(256);
    return out;
  },
  (input, draw) => {
    const out = Buffer.from(input);
    if (out.length > 0) {
      const at = draw(out.length);
      out[at] = (out[at] ?? 0) ^ (1 << draw(8));
    }
    return out;
  },
  (input, draw) => {
    const out = Buffer.from(input);
    if (out.length >= 4) out.writeUInt32LE(edges[draw(edges.length)] ?? 0, draw(out.length - 3));
    return out;
  },
  (input, draw) => {
    const [from, to] = cut(input, draw);
    return Buffer.concat([input.subarray(0, from), input.subarray(to)]);
  },
  (input, draw) => {
    const [from, to] = cut(input, draw);
    return Buffer.concat([input.subarray(0, to), input.subarray(from)]);
  },
  (input, draw) => {
    const at = draw(input.length + 1);
    const more = Buffer.from(Array.from({ length: 1 + draw(8) }, () => draw(256)));
    return Buffer.concat([input.subarray(0, at), more, input.subarray(at)]);
  },
  (input, draw, other) =>
    Buffer.concat([input.subarray(0, draw(input.length + 1)), other.subarray(draw(other.length + 1))]),
  (input, draw) => input.subarray(0, draw(input.length + 1)),
];

export function mutated(pool: readonly Buffer[], draw: Draw): Buffer {
  const any = (): Buffer => pool[draw(pool.length)] ?? Buffer.alloc(0);
  let input = any();
  for (let rounds = 1 + draw(6); rounds > 0; rounds -= 1) {
    input = mutations[draw(mutations.length)]?.(input, draw, any()) ?? input;
  }
  return input.subarray(0, maxBytes);
}

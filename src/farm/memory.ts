// What is known of hosts and of past compiles, kept from build to build in one file. It only ever guides choices: a lost
// or damaged file costs a few of them.
import { readFileSync } from 'node:fs';
import { writeKept } from '../kept-file.ts';
import { asideFrom, asidesFrom, savedAsides, type Asides, type SavedAside } from './aside.ts';
import { guess, type Average } from './average.ts';
import { newHome, type Home } from './home.ts';
import type { KindRecord } from './kind.ts';
import { newHostRecord, type HostRecord } from './pace.ts';
import { mostPeakKb, newWorkMemory, type PastWork, type WorkMemory } from './work.ts';

export type FarmMemory = {
  readonly works: WorkMemory;
  readonly home: HostRecord;
  /** Shared by all farms: they have one box to run compiles on. Not kept. */
  readonly box: Home;
  /** By the name that the user gave the host. */
  readonly host: (name: string) => HostRecord;
  readonly hosts: ReadonlyMap<string, HostRecord>;
  readonly asides: Asides;
};

// A few large projects: 100 bytes each.
const mostWorks = 30_000;
const mostHosts = 2000;

export function newFarmMemory(): FarmMemory {
  const hosts = new Map<string, HostRecord>();
  return memoryOf({ works: newWorkMemory(), home: newHostRecord(), asides: new Map() }, hosts);
}

type Parts = Pick<FarmMemory, 'works' | 'home' | 'asides'>;

function memoryOf(parts: Parts, hosts: Map<string, HostRecord>): FarmMemory {
  const host = (name: string): HostRecord => {
    const record = hosts.get(name) ?? newHostRecord();
    hosts.set(name, record);
    return record;
  };
  return { ...parts, box: newHome(parts.home), host, hosts };
}

type SavedAverage = readonly [value: number, samples: number];

type SavedHost = {
  readonly factors: readonly (readonly [string, SavedAverage])[];
  readonly pace: SavedAverage;
  readonly roundTripMs: SavedAverage;
  readonly bytesPerMs: SavedAverage;
  readonly compileMs: SavedAverage;
};

type SavedWork = readonly [key: string, ms: number, peakKb: number, by: string];

type SavedKind = readonly [
  kind: string,
  ms: SavedAverage,
  size: SavedAverage,
  sizeSquared: SavedAverage,
  sizeTimesMs: SavedAverage,
];

type Saved = {
  readonly works: readonly SavedWork[];
  readonly kinds: readonly SavedKind[];
  readonly home: SavedHost;
  readonly hosts: readonly (readonly [string, SavedHost])[];
  readonly asides: readonly SavedAside[];
  /** By the time of day. */
  readonly savedAtMs: number;
};

const rounded = (value: number): number => Number(value.toPrecision(5));
const savedAverage = ({ value, samples }: Average): SavedAverage => [rounded(value), samples];

function savedHost(record: HostRecord): SavedHost {
  return {
    factors: [...record.factors].map(([kind, factor]) => [kind, savedAverage(factor)]),
    pace: savedAverage(record.pace),
    roundTripMs: savedAverage(record.roundTripMs),
    bytesPerMs: savedAverage(record.bytesPerMs),
    compileMs: savedAverage(record.compileMs),
  };
}

// No host's name is empty.
const homeName = '';

function savedWork(key: string, { ms, peakKb, by }: PastWork, names: ReadonlyMap<HostRecord, string>): SavedWork {
  return [key, rounded(ms), peakKb, (by === undefined ? undefined : names.get(by)) ?? homeName];
}

function savedKind(kind: string, { ms, size, sizeSquared, sizeTimesMs }: KindRecord): SavedKind {
  return [kind, savedAverage(ms), savedAverage(size), savedAverage(sizeSquared), savedAverage(sizeTimesMs)];
}

export function saveFarmMemory({ works, home, hosts, asides }: FarmMemory, path: string): void {
  const names = new Map([...hosts].map(([name, record]) => [record, name]));
  names.set(home, homeName);
  const saved: Saved = {
    works: [...works.past].slice(-mostWorks).map(([key, past]) => savedWork(key, past, names)),
    kinds: [...works.kinds].map(([kind, record]) => savedKind(kind, record)),
    home: savedHost(home),
    hosts: [...hosts].slice(-mostHosts).map(([name, record]) => [name, savedHost(record)]),
    asides: savedAsides(asides).slice(-mostHosts),
    savedAtMs: Date.now(),
  };
  writeKept(path, () => JSON.stringify(saved));
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < 1e12;

/** @throws TypeError if it is no such thing, or a number of it is none. */
function averageFrom(saved: SavedAverage): Average {
  const [value, samples] = saved;
  if (!isNumber(value) || !isNumber(samples)) throw new TypeError('no average');
  return { value, samples };
}

/** @throws TypeError */
function namedFrom([name, host]: Saved['hosts'][number]): readonly [string, HostRecord] {
  if (typeof name !== 'string') throw new TypeError('no name');
  return [name, hostFrom(host)];
}

function hostFrom(saved: SavedHost): HostRecord {
  return {
    factors: new Map(saved.factors.map(([kind, factor]) => [kind, averageFrom(factor)])),
    pace: averageFrom(saved.pace),
    roundTripMs: averageFrom(saved.roundTripMs),
    bytesPerMs: averageFrom(saved.bytesPerMs),
    compileMs: averageFrom(saved.compileMs),
  };
}

function kindFrom([kind, ms, size, sizeSquared, sizeTimesMs]: SavedKind): readonly [string, KindRecord] {
  const sizes = { sizeSquared: averageFrom(sizeSquared), sizeTimesMs: averageFrom(sizeTimesMs) };
  return [kind, { ms: averageFrom(ms), size: averageFrom(size), ...sizes }];
}

function workFrom(
  [key, ms, peakKb, by]: SavedWork,
  records: ReadonlyMap<string, HostRecord>,
): readonly [string, PastWork] {
  if (typeof key !== 'string' || !isNumber(ms) || ms === 0 || !isNumber(peakKb)) throw new TypeError('no work');
  return [key, { ms, peakKb: Math.min(mostPeakKb, peakKb), by: records.get(by) }];
}

/** Of what is damaged only that is lost: beside it stand the hosts that are set aside. */
function every<S, T>(saved: readonly S[] | undefined, parse: (one: S) => T): T[] {
  if (!Array.isArray(saved)) return [];
  return (saved as readonly S[]).flatMap((one) => {
    try {
      return [parse(one)];
    } catch {
      return [];
    }
  });
}

export function loadFarmMemory(path: string): FarmMemory {
  try {
    const saved = JSON.parse(readFileSync(path, 'utf8')) as Partial<Saved>;
    const kinds = new Map(every(saved.kinds, kindFrom));
    const hosts = new Map(every(saved.hosts, namedFrom));
    const [home = newHostRecord()] = every([saved.home], (one) => hostFrom(one as SavedHost));
    const records = new Map([...hosts, [homeName, home]]);
    const past = new Map(every(saved.works, (work) => workFrom(work, records)));
    const asides = every(saved.asides, asideFrom);
    return memoryOf(
      {
        works: { past, kinds, common: guess(1) },
        home,
        asides: asidesFrom(asides, Date.now() - (saved.savedAtMs ?? NaN)),
      },
      hosts,
    );
  } catch {
    return newFarmMemory();
  }
}

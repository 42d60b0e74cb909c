// What `shoal hosts` and `shoal status` tell of each host, as it stands.
import type { Farm } from '../../farm/farm.ts';
import { paceFor, type HostRecord } from '../../farm/pace.ts';
import type { Host } from '../../farm/host.ts';

export type HostReport = {
  readonly name: string;
  readonly state: 'idle' | 'connecting' | 'ready' | 'resting' | 'aside';
  readonly slots: number;
  /** Jobs that it has; those beyond its slots wait there. */
  readonly inFlight: number;
  readonly jobs: number;
  /** How fast it compiles beside this box (2: twice as fast), by kind of work; undefined until both were measured. */
  readonly speed: number | undefined;
  readonly speeds: Readonly<Record<string, number>>;
  readonly roundTripMs: number | undefined;
  readonly megabytesPerSecond: number | undefined;
  /** Undefined where it does not say. */
  readonly compilers: number | undefined;
  /** A host of distcc's: its results are as distcc's are, which is not always what the compiler here would give. */
  readonly approximate: boolean;
  readonly memoryMb: number | undefined;
  readonly failures: number;
  /** Of a host that rests: the failure, and the time until it is asked again. */
  readonly why: string;
  readonly restsForMs: number;
};

const rounded = (value: number): number => Number(value.toPrecision(3));

function speeds(home: HostRecord, record: HostRecord): Record<string, number> {
  const both = [...record.factors.keys()].filter((kind) => home.factors.has(kind));
  return Object.fromEntries(both.map((kind) => [kind, rounded(paceFor(home, kind) / paceFor(record, kind))]));
}

function reportOf({ home }: Farm, host: Host, nowMs: number): HostReport {
  const { spec, state, record } = host;
  const measured = record.pace.samples > 0 && home.record.pace.samples > 0;
  return {
    name: spec.name,
    state: state.kind,
    slots: state.kind === 'ready' ? state.slots : (spec.slots ?? 0),
    inFlight: host.places.size,
    jobs: host.jobsDone,
    speed: measured ? rounded(home.record.pace.value / record.pace.value) : undefined,
    speeds: speeds(home.record, record),
    roundTripMs: record.roundTripMs.samples > 0 ? rounded(record.roundTripMs.value) : undefined,
    megabytesPerSecond: record.bytesPerMs.samples > 0 ? rounded(record.bytesPerMs.value / 1000) : undefined,
    compilers: state.kind === 'ready' && state.speaks === 'reapi' ? state.toolchains.size : undefined,
    approximate: spec.address.kind === 'distcc',
    memoryMb: state.kind === 'ready' && state.memoryKb > 0 ? Math.round(state.memoryKb / 1024) : undefined,
    failures: host.failures,
    why: state.kind === 'resting' || state.kind === 'aside' ? state.why : '',
    restsForMs: state.kind === 'resting' ? Math.max(0, Math.round(state.untilMs - nowMs)) : 0,
  };
}

export function hostReports(farm: Farm): HostReport[] {
  const nowMs = farm.world.clock.nowMs();
  return farm.hosts.map((host) => reportOf(farm, host, nowMs));
}

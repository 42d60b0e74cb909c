// What the bench measures beside the sides on the corpus: each part sets up a farm of its own kind and has a table of its
// own. They take minutes each, so they run only where they are named.
import { measureContainment } from './containment.ts';
import { measureDistccd } from './distccd.ts';
import { measureReplay } from './replay/main.ts';
import { measureRoundTrips } from './round-trips/main.ts';
import { measureSimulator } from './simulator.ts';
import { measureThroughput } from './throughput/main.ts';
import { measureTls } from './tls.ts';

export type PartPlan = {
  /** Empty at the start; the part's alone. */
  readonly scratch: string;
  /** What is fetched or recorded once, for this run and later ones. */
  readonly cache: string;
  readonly rounds: number;
  /** Of the corpus, only every so many-th file. */
  readonly everyNth: number;
  readonly tell: (text: string) => void;
};

export const parts: Readonly<Record<string, (plan: PartPlan) => Promise<string>>> = {
  throughput: measureThroughput,
  replay: measureReplay,
  roundtrips: measureRoundTrips,
  simulator: measureSimulator,
  containment: measureContainment,
  tls: measureTls,
  distccd: measureDistccd,
};

// What the bench measures beside the sides on the corpus: each part sets up a farm of its own kind and has a table of its
// own. They take minutes each, so they run only where they are named.
import { measureContainment } from './containment.ts';
import { measureDistccd } from './distccd.ts';
import type { Part } from './part.ts';
import { measureReplay } from './replay/main.ts';
import { measureRoundTrips } from './round-trips/main.ts';
import { measureSimulator } from './simulator.ts';
import { measureThroughput } from './throughput/main.ts';
import { measureTls } from './tls.ts';

export const parts: Readonly<Record<string, Part>> = {
  throughput: measureThroughput,
  replay: measureReplay,
  roundtrips: measureRoundTrips,
  simulator: measureSimulator,
  containment: measureContainment,
  tls: measureTls,
  distccd: measureDistccd,
};

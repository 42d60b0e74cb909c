// What an input reaches, by V8's own counts of blocks: no instrumented build is needed.
import { Session, type Profiler } from 'node:inspector';

export type Coverage = {
  /** Whether a block of shoal's was reached since the last question that never was before. Asking costs some 7 ms. */
  readonly isFresh: () => boolean;
  /** The same, and it is not new any more. */
  readonly take: () => boolean;
  readonly size: () => number;
  readonly close: () => void;
};

/** A loop that ran ten times is no other place than one that ran nine; one that ran once is. */
const bucket = (count: number): number => Math.min(4, 32 - Math.clz32(count));

export function startCoverage(): Coverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const seen = new Set<string>();
  const reached = (): string[] => {
    const keys: string[] = [];
    // The callback is called before `post` returns.
    session.post('Profiler.takePreciseCoverage', (_error, taken: Profiler.TakePreciseCoverageReturnType) => {
      for (const { url, scriptId, functions } of taken.result) {
        if (!/\/dist\/src\/|\/(?:dns-packet|bonjour-service|multicast-dns)\//.test(url)) continue;
        for (const { ranges } of functions) {
          for (const { startOffset, endOffset, count } of ranges) {
            const key = `${scriptId} ${startOffset} ${endOffset} ${bucket(count)}`;
            if (count > 0 && !seen.has(key)) keys.push(key);
          }
        }
      }
    });
    return keys;
  };
  const take = (): boolean => {
    const keys = reached();
    for (const key of keys) seen.add(key);
    return keys.length > 0;
  };
  return { isFresh: () => reached().length > 0, take, size: () => seen.size, close: () => session.disconnect() };
}

// When files were looked at. An *epoch* is a stretch of time in which no file is looked at twice: what was seen in it is
// taken for what is. A compile must read what is on the disk when it comes, so its answer counts only if all that it
// rests on still stands in an epoch that began after it came. It is planned in the epoch that happens to run, though,
// and looked at again when its answer is here: by then one look serves every compile that came before it. A closure is
// 200 stats, 1 ms of CPU; with 40 compiles in flight some 40 share each.
import type { Clock } from '../../observe/clock.ts';

export type Epochs = {
  /** Notes that a compile has come, and gives its place in the order of all events. */
  readonly arrive: () => number;
  /** The epoch that runs, for a plan that will be looked at again. */
  readonly running: () => number;
  /** An epoch that began after `arrival`: the one that runs, if it did. */
  readonly since: (arrival: number) => number;
  /** True if `epoch` is one that `since` might give. */
  readonly isSince: (epoch: number, arrival: number) => boolean;
  /** An epoch that begins now. */
  readonly begin: () => number;
};

// What is planned by an older look is more likely to be done in vain: headers that a build makes change within seconds.
const longestMs = 1000;

export function newEpochs(clock: Clock): Epochs {
  let events = 0;
  let begun = { epoch: 0, at: 0, ms: Number.NEGATIVE_INFINITY };
  const begin = (): number => {
    events += 1;
    begun = { epoch: begun.epoch + 1, at: events, ms: clock.nowMs() };
    return begun.epoch;
  };
  return {
    arrive: () => (events += 1),
    running: () => (clock.nowMs() - begun.ms < longestMs ? begun.epoch : begin()),
    since: (arrival) => (begun.at > arrival ? begun.epoch : begin()),
    isSince: (epoch, arrival) => epoch === begun.epoch && begun.at > arrival,
    begin,
  };
}

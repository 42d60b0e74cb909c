// A large upload to a host, on which every job rests that comes while it lasts: it ends before its time once all of those
// have been cancelled, and not with the one that began it.

export type SharedUpload = {
  /** Fires when no job needs it any more. */
  readonly signal: AbortSignal;
  /** The job with this signal rests on it. */
  readonly join: (job: AbortSignal) => void;
  /** It has ended: nobody is listened to any more. */
  readonly end: () => void;
};

export function newSharedUpload(): SharedUpload {
  const abort = new AbortController();
  const jobs = new Map<AbortSignal, () => void>();
  const join = (job: AbortSignal): void => {
    if (job.aborted || jobs.has(job)) return;
    const leave = (): void => {
      jobs.delete(job);
      if (jobs.size === 0) abort.abort();
    };
    jobs.set(job, leave);
    job.addEventListener('abort', leave, { once: true });
  };
  const end = (): void => {
    for (const [job, leave] of jobs) job.removeEventListener('abort', leave);
    jobs.clear();
  };
  return { signal: abort.signal, join, end };
}

// The sessions of compiles that belong to no build: one for each way in which their environments ask for the farm, so
// that none gets the hosts or the strictness of another that happened to come first.
import { newFarm } from '../farm/farm.ts';
import { openSession, type ClientRequest, type Farms, type OpenedSession } from './compose.ts';
import { endSession, newSession, newSessionId, type Session } from './session.ts';
import { nearestSettings, settingVariables } from './settings.ts';

type Opened = Exclude<OpenedSession, { readonly kind: 'invalid' }>;

export type OwnSessions = {
  readonly find: (env: readonly string[]) => Session;
  readonly all: () => readonly Session[];
  readonly close: () => void;
};

// Somebody tries out settings; of more than this many ways, those that nothing runs for are forgotten.
const mostKept = 16;

const isIdle = ({ jobs, here, waiting }: Session): boolean => jobs.size + here + waiting === 0;

function valueIn(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** A hosts setting that is wrong is a farm of no hosts. */
function openOwn(farms: Farms, variables: ClientRequest['env'], log: ClientRequest['log']): Opened {
  const settings = nearestSettings(variables, log);
  const id = newSessionId();
  const opened = openSession(farms, settings, { id });
  if (opened.kind === 'session') return opened;
  log(opened.why);
  const start = { id, startedMs: farms.world.clock.nowMs(), expected: [] };
  return {
    kind: 'session',
    session: newSession(settings, newFarm([], farms.world, farms.memory), start),
    close: () => undefined,
  };
}

/** What a compile does not set is as in the environment of the daemon, where somebody has started that by hand. */
export function ownSessions(farms: Farms, { env: daemonEnv, log }: ClientRequest): OwnSessions {
  const kept = new Map<string, Opened>();
  const end = (key: string, { session, close }: Opened): void => {
    kept.delete(key);
    endSession(session);
    close();
  };
  const makeRoom = (): void => {
    for (const [key, opened] of kept) {
      if (kept.size < mostKept) return;
      if (isIdle(opened.session)) end(key, opened);
    }
  };
  const find: OwnSessions['find'] = (env) => {
    const values = settingVariables.map((name) => [name, valueIn(env, name) ?? daemonEnv[name]] as const);
    const key = JSON.stringify(values);
    const found = kept.get(key);
    if (found === undefined) makeRoom();
    const opened = found ?? openOwn(farms, Object.fromEntries(values), log);
    // The latest used last.
    kept.delete(key);
    kept.set(key, opened);
    return opened.session;
  };
  return {
    find,
    all: () => {
      if (kept.size === 0) find([]);
      return [...kept.values()].map(({ session }) => session);
    },
    close: () => {
      for (const [key, opened] of kept) end(key, opened);
    },
  };
}

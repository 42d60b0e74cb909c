// The sessions of compiles that belong to no build: one for each way in which their environments ask for the farm, so
// that none gets the hosts or the strictness of another that happened to come first.
import { distccHostSource } from '../../distcc/host-source.ts';
import { newFarm } from '../../farm/farm.ts';
import { hearDistcc, openSession, type Farms, type OpenedSession } from './farms.ts';
import { endSession, newSession, newSessionId, type Asking, type Session } from '../session/session.ts';
import { listedIn, nearestSettings, settingVariables, type Listed } from '../session/settings.ts';

type Variables = Readonly<Record<string, string | undefined>>;
type Log = (line: string) => void;
type Opened = Exclude<OpenedSession, { readonly kind: 'invalid' }>;

export type OwnSessions = {
  readonly find: (request: Asking) => Promise<Session>;
  readonly all: () => readonly Session[];
  readonly close: () => void;
};

// Somebody tries out settings; of more than this many ways, those that nothing runs for are forgotten.
const mostKept = 16;

const isIdle = ({ jobs, here, waiting }: Session): boolean => jobs.size + here + waiting === 0;

function valueIn(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** A compile that was called as distcc reads distcc's files as well, where no variable names hosts. */
function listedFor(variables: Variables, value: (name: string) => string | undefined): Listed | undefined {
  if (variables['SHOAL_HOSTS'] !== undefined) return undefined;
  const named = { ...variables, DISTCC_DIR: value('DISTCC_DIR'), HOME: value('HOME') };
  const source = distccHostSource(named);
  return source.kind === 'found' ? source : undefined;
}

type Asked = { readonly variables: Variables; readonly listed: Listed | undefined };

const hears = ({ variables, listed }: Asked): boolean =>
  (variables['SHOAL_HOSTS'] ?? listed?.text ?? '').includes('+zeroconf');

/** A hosts setting that is wrong is a farm of no hosts. */
function openOwn(farms: Farms, { variables, listed }: Asked, log: Log): Opened {
  const settings = nearestSettings(variables, log, listed);
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
export function ownSessions(
  farms: Farms,
  { env: daemonEnv, log }: { readonly env: Variables; readonly log: Log },
): OwnSessions {
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
  const askedIn = ({ env, asDistcc }: Asking): Asked => {
    const value = (name: string): string | undefined => valueIn(env, name) ?? daemonEnv[name];
    const variables = Object.fromEntries(settingVariables.map((name) => [name, value(name)]));
    const listed = asDistcc ? listedFor(variables, value) : listedIn(variables);
    return { variables, listed };
  };
  const findNow = (asked: Asked): Session => {
    // With the text of a hosts file, which may be edited, and with what the network tells.
    const heard = hears(asked) ? farms.heardDistcc?.specs.map(({ name }) => name) : undefined;
    const key = JSON.stringify([asked, heard]);
    const found = kept.get(key);
    if (found === undefined) makeRoom();
    const opened = found ?? openOwn(farms, asked, log);
    // The latest used last.
    kept.delete(key);
    kept.set(key, opened);
    return opened.session;
  };
  return {
    find: async (request) => {
      const asked = askedIn(request);
      if (hears(asked)) await hearDistcc(farms);
      return findNow(asked);
    },
    all: () => {
      if (kept.size === 0) findNow(askedIn({ env: [], asDistcc: false }));
      return [...kept.values()].map(({ session }) => session);
    },
    close: () => {
      for (const [key, opened] of kept) end(key, opened);
    },
  };
}

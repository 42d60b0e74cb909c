// Continuous proof: a share of what hosts returned is compiled once more here, and compared. One at a time and at the
// lowest priority, while this box has a processor free and the build goes on; what is still waiting when it ends is dropped. A host whose object differs is
// set aside. Nothing is concluded from a source that changed meanwhile, nor from a compile that differs from itself.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { differingSection } from '../../compiler/elf-sections.ts';
import { proofArguments, type ProofFiles } from '../../compiler/proof-arguments.ts';
import { setAside } from '../../farm/aside.ts';
import { enterHome, leaveHome } from '../../farm/places.ts';
import { closureStands } from '../plan/closure.ts';
import type { Completed } from '../launcher-wire.ts';
import { stopProof, type Claim } from '../session/proofs.ts';
import type { Session } from '../session/session.ts';
import { environmentMap, type UnderstoodJob } from '../plan/understand.ts';
import type { ClientWorld } from '../world.ts';

/** How the directories of proofs are called in the scratch directory. */
export const proofPrefix = 'proof-';
// Their objects are kept in memory.
const mostWaiting = 16;
const compilePatienceMs = 10 * 60_000;

/** The object among what the launcher is to write, if this job can be proved. */
function objectOf({ unit, outputs }: UnderstoodJob, { outputs: files, waitStatus }: Completed): Buffer | undefined {
  const [first] = outputs;
  if (waitStatus !== 0 || first?.kind !== 'object') return undefined;
  const names: ProofFiles = { object: '', dependencies: '' };
  if (proofArguments([], unit, names) === undefined) return undefined;
  return files.find(({ path }) => path === first.target)?.content;
}

/** Chooses by chance whether this result is proved. `chance` is from 0 to 1. */
export function mayProve(
  world: ClientWorld,
  session: Session,
  result: Omit<Claim, 'object'> & { readonly completed: Completed; readonly chance: number },
): void {
  const { job, closure, host, completed, chance } = result;
  const { proofs, settings } = session;
  if (chance >= settings.proofShare || proofs.waiting.length >= mostWaiting) return;
  const object = objectOf(job, completed);
  if (object === undefined) return;
  proofs.waiting.push({ job, closure, host, object });
  if (proofs.busy) return;
  const done = proveAll(world, session).finally(() => world.background.delete(done));
  world.background.add(done);
}

const roomPauseMs = 50;

/** Waits until this box has a processor that no compile of a build wants; false once the session has ended. */
export async function roomHere({ clock }: ClientWorld, session: Session): Promise<boolean> {
  const { home } = session.farm;
  while (!session.ended && home.compiles.size >= home.slots) {
    await new Promise<void>((resolve) => clock.after(roomPauseMs, resolve));
  }
  return !session.ended;
}

async function proveAll(world: ClientWorld, session: Session): Promise<void> {
  const { proofs } = session;
  proofs.busy = true;
  for (let claim = proofs.waiting.shift(); claim !== undefined && !session.ended; claim = proofs.waiting.shift()) {
    if (!(await roomHere(world, session))) break;
    const stay = enterHome(session.farm);
    // No room for its directory, no process to be had: nothing can be concluded, and the build goes on.
    const section = await disproved(world, session, claim).catch(() => undefined);
    leaveHome(session.farm, stay);
    if (section === undefined) continue;
    if (section === 'equal') {
      proofs.equal += 1;
      continue;
    }
    const { source } = claim.job.unit;
    const { name } = claim.host.spec;
    proofs.differences.push({ host: name, source, section });
    setAside(session.farm.memory.asides, claim.host, `its object of ${source} differs from this box's in ${section}`);
  }
  proofs.busy = false;
}

/** The section that differs, `equal`, or undefined where nothing can be concluded. */
async function disproved(world: ClientWorld, session: Session, claim: Claim): Promise<string | undefined> {
  const { job, closure, object } = claim;
  const directory = mkdtempSync(join(world.scratch, proofPrefix));
  try {
    const first = await compileAgain(session, job, directory, 'a');
    if (first === undefined) return undefined;
    if (first.equals(object)) return 'equal';
    const second = await compileAgain(session, job, directory, 'b');
    if (second === undefined || !second.equals(first)) return undefined;
    const stands = closureStands(world, session, { job, closure, epoch: world.epochs.begin() });
    return stands ? differingSection(first, object) : undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compileAgain(
  session: Session,
  { request, unit }: UnderstoodJob,
  directory: string,
  name: string,
): Promise<Buffer | undefined> {
  const files: ProofFiles = { object: join(directory, `${name}.o`), dependencies: join(directory, `${name}.d`) };
  const args = proofArguments(request.argv, unit, files);
  if (args === undefined) return undefined;
  // gcc's own temporary files go with the directory, however this ends.
  const env = { ...Object.fromEntries(environmentMap(request.env)), TMPDIR: directory };
  const child = spawn(request.compiler, args, {
    argv0: request.argv[0],
    cwd: request.cwd,
    env,
    stdio: 'ignore',
    detached: true,
  });
  const { proofs } = session;
  proofs.running = child;
  const limit = setTimeout(() => stopProof(proofs), compilePatienceMs).unref();
  const status = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve(code));
    if (child.pid !== undefined) beNice(child.pid);
  });
  clearTimeout(limit);
  proofs.running = undefined;
  return status === 0 ? readFileSync(files.object) : undefined;
}

function beNice(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}

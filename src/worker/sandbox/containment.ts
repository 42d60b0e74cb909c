// What a box lacks that it would take to contain compiles, in the words of its own settings. Whether it can is found out by
// trying, at start; these are read only afterwards, to say why not.
import { readFileSync } from 'node:fs';

export type BoxFacts = {
  /** Of /proc/sys, without the newline; undefined where there is no such setting. */
  readonly sysctl: (name: string) => string | undefined;
  /** True where a filter of system calls is on this process already, as a container's. */
  readonly isFiltered: boolean;
  readonly isRoot: boolean;
};

export function boxFacts(): BoxFacts {
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      return undefined;
    }
  };
  return {
    sysctl: (name) => read(`/proc/sys/${name.replaceAll('.', '/')}`),
    isFiltered: /^Seccomp:\s+2$/m.test(read('/proc/self/status') ?? ''),
    isRoot: process.getuid?.() === 0,
  };
}

type Lack = { readonly applies: (why: string, facts: BoxFacts) => boolean; readonly remedy: string };

const atNamespaces = /^(user namespace|namespaces of the job):/;
const notPermitted = /Operation not permitted|Permission denied/;
const unknownCall = /Function not implemented|Invalid argument/;

// The first that applies is told.
const lacks: readonly Lack[] = [
  {
    applies: (why, { sysctl }) => atNamespaces.test(why) && sysctl('user.max_user_namespaces') === '0',
    remedy: 'user namespaces are switched off: sysctl -w user.max_user_namespaces=15000',
  },
  {
    applies: (why) => atNamespaces.test(why) && why.includes('No space left'),
    remedy:
      'no more namespaces are allowed here: raise sysctl user.max_user_namespaces, max_net_namespaces and their like ' +
      '(each slot takes two of each kind), also of the container that this one is in',
  },
  {
    applies: (why, { sysctl }) => atNamespaces.test(why) && sysctl('kernel.unprivileged_userns_clone') === '0',
    remedy:
      'user namespaces are for root alone: sysctl -w kernel.unprivileged_userns_clone=1, or run the worker as root',
  },
  {
    applies: (why, { isFiltered }) => notPermitted.test(why) && isFiltered,
    remedy:
      'a container’s filter of system calls forbids it: start the container with --security-opt seccomp=unconfined ' +
      '--security-opt apparmor=unconfined --security-opt systempaths=unconfined',
  },
  {
    applies: (why, { sysctl, isRoot }) =>
      notPermitted.test(why) && !isRoot && sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1',
    remedy:
      'AppArmor gives user namespaces no rights: load packaging/apparmor/shoal-worker, or ' +
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
  {
    applies: (why) => why.startsWith('mount proc:') && notPermitted.test(why),
    remedy: 'a part of /proc is hidden here, as in containers: --security-opt systempaths=unconfined',
  },
  {
    applies: (why) => why.startsWith('becoming user') || why.startsWith('writing /proc/self/'),
    remedy: 'the user of the slot is not known in this container: map the ids 65000 to 65499 into it',
  },
  {
    applies: (why) => /^(open_tree|mount_setattr|move_mount)\b/.test(why) && unknownCall.test(why),
    remedy: 'this needs Linux 5.12',
  },
  {
    applies: (why) => why.startsWith('mounting overlay'),
    remedy: 'overlay mounts in user namespaces need Linux 5.11 and the module overlay (modprobe overlay)',
  },
  {
    applies: (why, { isRoot }) => notPermitted.test(why) && !isRoot,
    remedy: 'user namespaces are not permitted to this user: enable them, or run the worker as root',
  },
];

/** What cannot be done, and how to get it. */
export function refusalText(why: string, facts: BoxFacts): string {
  const lack = lacks.find(({ applies }) => applies(why, facts));
  const remedy =
    lack?.remedy ?? 'this needs the right to make namespaces and mounts, in a container too, and Linux 5.12';
  return `compiles cannot be contained on this box: ${why}; ${remedy}. Or --contain=none, which says what it means`;
}

/** True if this process may become the user: in a container, if that is mapped into it. */
export function isMapped(id: number, uidMap: string): boolean {
  return uidMap
    .trim()
    .split('\n')
    .some((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return id >= first && id < first + count;
    });
}

// Who may come in to a worker: members of its farm, and, while codes wait, those who join it. A worker without a farm is
// open to whoever reaches it, which is why it listens on loopback only unless it was told otherwise.
import type { DoorKeeper, Refused, TlsDoor } from '../../reapi/doors.ts';
import { shownBy, type MemberPeer } from '../../trust/admission.ts';
import { noteSeen } from '../../trust/member-files.ts';
import type { FarmTrust, LiveTrust } from '../../trust/live-trust.ts';

export type KeeperWorld = {
  /** Undefined for a worker that everybody may use. */
  readonly trust: LiveTrust | undefined;
  readonly refused: (refused: Refused) => void;
  /** Other protocols on the same port, where `farm` is ours. */
  readonly protocols: (farm: FarmTrust) => TlsDoor['protocols'];
};

/** For people to read (`shoal members`): what keeps it from being noted keeps nobody out. */
function noteMember({ directory, desk }: FarmTrust['identity'], serial: string): void {
  try {
    if (desk !== undefined) desk.seen(serial);
    else if (directory !== undefined) noteSeen(directory, serial, Date.now());
  } catch {
    // The disk is full, or the identity is being replaced.
  }
}

export function newDoorKeeper({ trust, refused, protocols }: KeeperWorld): DoorKeeper {
  let door: { readonly identity: FarmTrust['identity']; readonly tls: TlsDoor } | undefined;
  const doorFor = (trust: LiveTrust, farm: FarmTrust): TlsDoor => {
    const { identity } = farm;
    if (door?.identity === identity) return door.tls;
    const { certificatePem, keyPem, caPem } = identity;
    const tls: TlsDoor = {
      // With the authority's own: whoever joins knows the farm by it.
      context: { cert: certificatePem + caPem, key: keyPem, ca: caPem },
      admit: (socket) => {
        const now = trust.current();
        if (now.kind !== 'farm') return { kind: 'refused', reason: 'closed' };
        const shown = shownBy(socket, now.revocations, Date.now());
        if (shown.kind === 'refused') return shown;
        noteMember(now.identity, shown.member.serial);
        const peer: MemberPeer = { ...shown.member, kind: 'member' };
        return { kind: 'peer', peer };
      },
      protocols: protocols(farm),
    };
    door = { identity, tls };
    return tls;
  };
  return {
    tls: () => {
      const now = trust?.current();
      if (trust === undefined || now === undefined || now.kind === 'none') return 'plain';
      return now.kind === 'farm' ? doorFor(trust, now) : 'closed';
    },
    refused,
  };
}

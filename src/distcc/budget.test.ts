import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { newBudget, type Share } from './budget.ts';

type Member = { readonly share: Share; readonly flow: { paused: boolean }; arrives: boolean; bytes: number };

test('above the bound none goes on while others are compiled, else the oldest, and all do once there is room', () => {
  const deed = fc.tuple(fc.constantFrom('join', 'grow', 'whole', 'release'), fc.nat(), fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
      const budget = newBudget(100);
      const members: Member[] = [];
      for (const [what, which, bytes] of deeds) {
        const member = members[which % Math.max(1, members.length)];
        if (what === 'join') {
          // One that joins when there is no room is told before it has its share.
          const flow = { paused: false };
          const share = budget.join({ pause: () => (flow.paused = true), resume: () => (flow.paused = false) });
          members.push({ share, flow, arrives: true, bytes: 0 });
        } else if (member === undefined) continue;
        else if (what === 'grow' && member.arrives && !member.flow.paused) {
          member.bytes = bytes;
          member.share.holds(bytes);
        } else if (what === 'whole') {
          member.arrives = false;
          member.share.isWhole();
        } else if (what === 'release') {
          member.share.release();
          members.splice(members.indexOf(member), 1);
        }
        const arriving = members.filter(({ arrives }) => arrives);
        const room = budget.heldBytes() <= 100;
        const compiles = members.some((each) => !each.arrives && each.bytes > 0);
        assert.equal(arriving[0]?.flow.paused ?? false, arriving.length > 0 && !room && compiles);
        assert.ok(arriving.slice(1).every(({ flow }) => flow.paused === !room));
      }
      for (const { share } of members) share.release();
      assert.equal(budget.heldBytes(), 0);
    }),
  );
});

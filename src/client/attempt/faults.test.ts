import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newHostRecord } from '../../farm/pace.ts';
import { newHost, type Host, type ReadyHost } from '../../farm/host.ts';
import { busyError, GrpcError, grpcCode } from '../../reapi/errors.ts';
import { blame, faultIn, faultOf, noteSuccess } from './faults.ts';

function connectedHost(): { readonly host: Host; readonly ready: ReadyHost } {
  const host = newHost(
    { name: 'box', address: { kind: 'tcp', host: 'box', port: 1 }, slots: undefined },
    { record: newHostRecord(), index: 0, changes: { touched: new Set(), unconnected: new Set() } },
  );
  const ready = {
    kind: 'ready',
    client: { bytes: () => ({ sent: 0, received: 0 }), close: () => undefined, closeWhenIdle: () => undefined },
  };
  host.state = ready as ReadyHost;
  return { host, ready: host.state };
}

const world = {
  connect: () => assert.fail('nothing is connected'),
  clock: { nowMs: () => 0, after: () => assert.fail() },
};

test('a broken connection and a wrong answer count at once', () => {
  for (const code of [grpcCode.UNAVAILABLE, grpcCode.DATA_LOSS]) {
    const place = connectedHost();
    blame(place, world, faultOf(code, 'why'));
    assert.deepEqual(place.host.state, { kind: 'resting', untilMs: 1000, why: 'why' });
  }
});

test('a host that has enough of this client’s jobs is not to blame, however often it says so', () => {
  const fault = faultIn(busyError('1000 jobs of this client are waiting already', 500));
  assert.deepEqual([fault?.reason, fault?.counts], ['worker-busy', 'never']);
  assert.equal(faultIn(new GrpcError(grpcCode.RESOURCE_EXHAUSTED, 'no space left'))?.reason, 'worker-full');
});

test('what may be the job’s own doing counts when three jobs in a row met it', () => {
  for (const code of [grpcCode.RESOURCE_EXHAUSTED, grpcCode.DEADLINE_EXCEEDED, grpcCode.INTERNAL]) {
    const place = connectedHost();
    const fail = (): void => blame(place, world, faultOf(code, 'why'));
    fail();
    fail();
    assert.equal(place.host.state.kind, 'ready');
    noteSuccess(place.host);
    fail();
    fail();
    assert.equal(place.host.state.kind, 'ready');
    fail();
    assert.equal(place.host.state.kind, 'resting');
  }
});

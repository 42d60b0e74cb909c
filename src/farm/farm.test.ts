import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realClock } from '../observe/clock.ts';
import type { ReapiClient } from '../reapi/client.ts';
import { giveBack, newFarm, takePlace } from './farm.ts';
import { parseHosts } from './host-spec.ts';

const toolchain = { hash: 'a'.repeat(64), sizeBytes: 1 };

/** A farm whose hosts all answer, with the toolchain and as many slots as the setting says. */
function farmOf(setting: string) {
  const parsed = parseHosts(setting);
  assert.equal(parsed.kind, 'hosts');
  const client: Partial<ReapiClient> = {
    ready: async () => undefined,
    toolchains: async () => ({
      toolchains: [{ digest: toolchain, driver: 'gcc', version: '12' }],
      slots: 1,
      isShoal: true,
    }),
    onClose: () => undefined,
  };
  const hosts = parsed.kind === 'hosts' ? parsed.hosts : [];
  return newFarm(hosts, { connect: () => client as ReapiClient, clock: realClock });
}

async function placesOf(farm: ReturnType<typeof farmOf>, jobs: number): Promise<Record<string, number>> {
  const choices = await Promise.all(Array.from({ length: jobs }, () => takePlace(farm, toolchain, new Set())));
  const counts: Record<string, number> = {};
  for (const choice of choices) {
    assert.equal(choice.kind, 'host');
    if (choice.kind !== 'host') continue;
    const { name } = choice.host.spec;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

test('jobs that come at once are spread over the hosts by their slots', async () => {
  assert.deepEqual(await placesOf(farmOf('one/4 two/4'), 2), { one: 1, two: 1 });
  assert.deepEqual(await placesOf(farmOf('small/2 large/6'), 8), { small: 2, large: 6 });
});

test('a place that is given back is free again', async () => {
  const farm = farmOf('one/1 two/1');
  const first = await takePlace(farm, toolchain, new Set());
  assert.ok(first.kind === 'host' && first.host.spec.name === 'one');
  giveBack(first.host);
  const second = await takePlace(farm, toolchain, new Set());
  assert.ok(second.kind === 'host' && second.host.spec.name === 'one');
});

test('a job that has been to every host, or needs another toolchain, is told so', async () => {
  const farm = farmOf('one/1');
  const other = await takePlace(farm, { hash: 'b'.repeat(64), sizeBytes: 1 }, new Set());
  assert.ok(other.kind === 'none' && other.reason === 'no-toolchain', JSON.stringify(other));
  const [host] = farm.hosts;
  const none = await takePlace(farm, toolchain, new Set(host === undefined ? [] : [host]));
  assert.equal(none.kind, 'none');
});

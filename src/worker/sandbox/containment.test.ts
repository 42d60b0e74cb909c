import assert from 'node:assert/strict';
import test from 'node:test';
import { isMapped, refusalText, type BoxFacts } from './containment.ts';

const facts = (settings: Readonly<Record<string, string>> = {}, rest: Partial<BoxFacts> = {}): BoxFacts => ({
  sysctl: (name) => settings[name],
  isFiltered: false,
  isRoot: false,
  ...rest,
});

test('what is missing is named with its setting', () => {
  const eperm = 'Operation not permitted';
  const cases: readonly (readonly [why: string, facts: BoxFacts, remedy: RegExp])[] = [
    [
      'user namespace: No space left on device',
      facts({ 'user.max_user_namespaces': '0' }),
      /max_user_namespaces=15000/,
    ],
    ['namespaces of the job: No space left on device', facts({ 'user.max_user_namespaces': '1' }), /raise sysctl/],
    [`user namespace: ${eperm}`, facts({ 'kernel.unprivileged_userns_clone': '0' }), /userns_clone=1/],
    [`user namespace: ${eperm}`, facts({}, { isFiltered: true, isRoot: true }), /seccomp=unconfined/],
    [`mount tmpfs: ${eperm}`, facts({ 'kernel.apparmor_restrict_unprivileged_userns': '1' }), /packaging\/apparmor/],
    [`mount proc: ${eperm}`, facts({}, { isRoot: true }), /systempaths=unconfined/],
    ['becoming user 65000: Invalid argument', facts({}, { isRoot: true }), /map the ids/],
    ['open_tree /var/lib/shoal: Function not implemented', facts(), /Linux 5\.12/],
    [`mounting overlay: ${eperm}`, facts(), /modprobe overlay/],
    [`user namespace: ${eperm}`, facts(), /run the worker as root/],
    ['something else', facts(), /the right to make namespaces/],
  ];
  for (const [why, box, remedy] of cases) {
    assert.match(refusalText(why, box), remedy);
    assert.ok(refusalText(why, box).includes(why));
  }
});

test('the slots’ users are known where the container maps them', () => {
  assert.ok(isMapped(65_000, '         0          0 4294967295\n'));
  assert.ok(!isMapped(65_000, '         0       1000          1\n'));
  assert.ok(isMapped(65_000, '         0       1000          1\n         1     100000      65536\n'));
});

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { digestOf } from '../../reapi/digest.ts';
import { blobPath, openStoreWriter } from '../../store/store-writer.ts';
import { newHand, type Hand } from './hand.ts';
import { encodeRequest, KeeperWireError, outcomes, type KeeperRequest, type Outcome } from './wire.ts';

type Ground = {
  readonly directory: string;
  readonly hand: Hand;
  readonly ask: (...requests: readonly KeeperRequest[]) => readonly Outcome[];
};

function withHand(body: (ground: Ground) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-hand-'));
  try {
    const failed = (error: Error): never => assert.fail(error);
    let answers: Outcome[] = [];
    const hand = newHand({
      writer: openStoreWriter(directory),
      answerTo: async (question) => Promise.resolve(question),
      note: () => undefined,
      reply: (bytes) => void answers.push(outcomes[bytes[4] ?? 0] ?? 'failed'),
      onReady: () => undefined,
      failed,
    });
    const ask: Ground['ask'] = (...requests) => {
      answers = [];
      hand.take(Buffer.concat(requests.flatMap((each) => [...encodeRequest(each)])));
      return answers;
    };
    body({ directory, hand, ask });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const bytes = Buffer.from('the bytes of a blob');
const digest = digestOf(bytes);
const open = (id: number): KeeperRequest => ({ kind: 'open', id, target: { kind: 'blob', digest } });
const data = (id: number, bytes: Buffer): KeeperRequest => ({ kind: 'data', id, bytes });
const commit = (id: number): KeeperRequest => ({ kind: 'commit', id });

test('a blob is finished only with the bytes of its digest, and nothing of others stays', () =>
  withHand(({ directory, ask }) => {
    const wrong = Buffer.from('THE bytes of a blob');
    assert.deepEqual(ask(open(1), data(1, wrong), commit(1)), ['not-the-digest']);
    assert.deepEqual(ask(open(2), data(2, bytes.subarray(1)), commit(2)), ['not-the-digest']);
    assert.deepEqual(ask(open(3), data(3, bytes), data(3, bytes), commit(3)), ['not-the-digest']);
    assert.deepEqual(ask(open(4), commit(4)), ['not-the-digest']);
    assert.deepEqual(readdirSync(join(directory, 'blobs')), []);
    assert.deepEqual(ask(open(5), data(5, bytes.subarray(0, 3)), data(5, bytes.subarray(3)), commit(5)), ['done']);
    assert.deepEqual(readFileSync(blobPath(directory, digest)), bytes);
    assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
  }));

test('several are under way at once, and what is not committed leaves nothing', () =>
  withHand(({ directory, hand, ask }) => {
    const answers = ask(open(1), open(2), data(1, bytes), data(2, bytes), commit(2), { kind: 'abort', id: 1 });
    assert.deepEqual(answers, ['done']);
    ask(open(3), data(3, bytes));
    hand.close();
    assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
  }));

test('a front that says what makes no sense is told apart from one whose bytes are wrong', () =>
  withHand(({ ask }) => {
    assert.throws(() => ask(data(1, bytes)), KeeperWireError);
    assert.throws(() => ask(commit(1)), KeeperWireError);
    assert.throws(() => ask({ kind: 'abort', id: 1 }), KeeperWireError);
    assert.throws(() => ask(open(1), open(1)), KeeperWireError);
    assert.throws(() => ask(...Array.from({ length: 3000 }, (_, at) => open(at + 10))), KeeperWireError);
  }));

test('the files that a store remembers by are appended to and replaced', () =>
  withHand(({ directory, ask }) => {
    const append: KeeperRequest = { kind: 'open', id: 1, target: { kind: 'append', file: 'pack' } };
    const replace: KeeperRequest = { kind: 'open', id: 1, target: { kind: 'replace', file: 'pack' } };
    assert.deepEqual(ask(append, data(1, bytes), commit(1), append, data(1, bytes), commit(1)), ['done', 'done']);
    assert.deepEqual(readFileSync(join(directory, 'pack')), Buffer.concat([bytes, bytes]));
    assert.deepEqual(ask(replace, data(1, bytes), commit(1)), ['done']);
    assert.deepEqual(readFileSync(join(directory, 'pack')), bytes);
    ask({ kind: 'remove', what: 'pack' });
    assert.ok(!readdirSync(directory).includes('pack'));
  }));

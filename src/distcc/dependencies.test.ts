import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { rewrapped } from './dependencies.ts';

test('lines end where gcc ends them, whatever they were before', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-dependencies-'));
  try {
    writeFileSync(join(directory, 'x.c'), '#include <stdio.h>\n#include <stdlib.h>\n');
    for (let length = 1; length < 80; length += 1) {
      const targets = ['-MT', `${'x'.repeat(length)}.o`, '-MQ', 'a $ #b'.repeat((length % 7) + 1)];
      const words = ['-M', ...(length % 2 === 0 ? ['-MP'] : []), ...targets, 'x.c'];
      const text = execFileSync('gcc', words, { cwd: directory });
      const joined = Buffer.from(text.toString().replaceAll('\\\n', ''));
      assert.equal(rewrapped(joined).toString(), text.toString());
      assert.equal(rewrapped(text).toString(), text.toString());
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

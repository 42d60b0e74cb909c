// Says which places of a source lie in comments. Only findings that would keep a compile at home are asked about (the
// word __DATE__ in a licence header); an answer "in a comment" therefore has to be certain: C and C++ disagree about raw
// strings and digit separators, and only what both take for a comment counts.

const interesting = /["'/]/g;
const rawPrefix = /(?:^|[^A-Za-z0-9_$])(?:u8|[uUL])?R$/;
const wordCharacter = /[A-Za-z0-9_$]/;

type Language = 'c' | 'c++';

/** The end of a line that began at or before `at`, past splices. */
function logicalLineEnd(text: string, at: number): number {
  for (let from = at; ;) {
    const newline = text.indexOf('\n', from);
    if (newline < 0) return text.length;
    let last = newline - 1;
    while (last >= at && ' \t\v\f\r'.includes(text.charAt(last))) last--;
    if (text[last] !== '\\') return newline;
    from = newline + 1;
  }
}

/** Past a string or character constant that opens at `at`; one that is not closed ends with its line. */
function quotedEnd(text: string, at: number): number {
  const quote = text[at];
  const lineEnd = logicalLineEnd(text, at + 1);
  for (let i = at + 1; i < lineEnd; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === quote) return i + 1;
  }
  return lineEnd;
}

function rawStringEnd(text: string, at: number): number {
  const open = text.indexOf('(', at);
  if (open < 0 || open - at > 17) return quotedEnd(text, at);
  const close = `)${text.slice(at + 1, open)}"`;
  const end = text.indexOf(close, open);
  return end < 0 ? text.length : end + close.length;
}

function stringEnd(text: string, at: number, language: Language): number {
  const isRaw = language === 'c++' && rawPrefix.test(text.slice(Math.max(0, at - 4), at));
  return isRaw ? rawStringEnd(text, at) : quotedEnd(text, at);
}

function characterEnd(text: string, at: number, language: Language): number {
  const isSeparator =
    language === 'c++' && wordCharacter.test(text.charAt(at - 1)) && wordCharacter.test(text.charAt(at + 1));
  return isSeparator ? at + 1 : quotedEnd(text, at);
}

/** Start and end of each comment, in order. */
function commentsOf(text: string, language: Language): [number, number][] {
  const comments: [number, number][] = [];
  interesting.lastIndex = 0;
  for (let match = interesting.exec(text); match !== null; match = interesting.exec(text)) {
    const at = match.index;
    let end = at + 1;
    if (match[0] === '"') end = stringEnd(text, at, language);
    else if (match[0] === "'") end = characterEnd(text, at, language);
    else if (text[at + 1] === '/' || text[at + 1] === '*') {
      const close = text[at + 1] === '*' ? text.indexOf('*/', at + 2) : -1;
      if (text[at + 1] === '/') end = logicalLineEnd(text, at + 2);
      else end = close < 0 ? text.length : close + 2;
      comments.push([at, end]);
    }
    interesting.lastIndex = end;
  }
  return comments;
}

/** A test for places of the text; the text is read at the first question. */
export function commentTest(text: string): (at: number) => boolean {
  let both: [number, number][][] | undefined;
  return (at) => {
    both ??= [commentsOf(text, 'c'), commentsOf(text, 'c++')];
    return both.every((comments) => comments.some(([start, end]) => start <= at && at < end));
  };
}

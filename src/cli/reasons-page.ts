// docs/reasons.md, from the table of reasons: `node dist/src/cli/reasons-page.js > docs/reasons.md`. A test holds the
// committed page against the table.
import { reasonIds, reasonOf, type Whose } from '../observe/reasons.ts';

const whoseText: Readonly<Record<Whose, string>> = {
  user: 'the build',
  host: 'the farm',
  network: 'the network',
  policy: 'as it should be',
  compiler: 'shoal',
};

/** The page, a section a reason; the anchors are the ids. */
export function reasonsPage(): string {
  const head = [
    '# Why a compile stayed here',
    '',
    'Each reason that a summary names, whose doing it is, and what to do. Made from `src/observe/reasons.ts`.',
    '',
    '',
  ];
  const sections = reasonIds.map((id) => {
    const { sentence, whose, probe } = reasonOf(id);
    const note = probe === true ? ' Nothing was lost by it: no translation unit was compiled.' : '';
    return `## ${id}\n\n${sentence[0]?.toUpperCase()}${sentence.slice(1)}.${note}\n\nWhose doing: ${whoseText[whose]}.\n`;
  });
  return `${head.join('\n')}${sections.join('\n')}`;
}

if (process.argv[1]?.endsWith('reasons-page.js') === true) process.stdout.write(reasonsPage());

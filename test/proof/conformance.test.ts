/** docs/conformance.md says what the tests show: no requirement that is in no table, no scenario that is not on the page. */
import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { render, rowsOf, unknownReferences } from './page.js';
import { readTable } from './requirement.js';
import { REQUIREMENTS, TITLES } from './requirements.js';
import { parseTitle, scenarios } from './titles.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

t.test('every requirement that a title names is in a table (test/proof/)', async (t) => {
  t.strictSame(unknownReferences(scenarios(root)), []);
});

t.test('docs/conformance.md is what `npm run conformance` makes of these tests', async (t) => {
  const page = readFileSync(join(root, 'docs/conformance.md'), 'utf8').split('\n');
  const made = render(rowsOf(scenarios(root))).split('\n');
  t.strictSame(made.filter((line) => !page.includes(line)), [], 'lines that are not on the page');
  t.strictSame(page.filter((line) => !made.includes(line)), [], 'lines of the page that no test bears out');
  t.equal(page.join('\n'), made.join('\n'));
});

t.test('the tables: rows of their own, RFCs with a name, numbers without a gap', async (t) => {
  for (const { rfc } of REQUIREMENTS) t.ok(TITLES[rfc], `RFC ${rfc} has a name`);
  const sections = REQUIREMENTS.filter(({ id }) => id.startsWith('RFC ')).map(({ id }) => id);
  t.equal(new Set(sections).size, sections.length);
  for (const [kind, last] of [['MUST', 69], ['SHLD', 31], ['MAY', 18]] as const) {
    for (let i = 1; i <= last; i++) t.ok(REQUIREMENTS.some(({ id }) => id === `${kind}-${i}`), `${kind}-${i}`);
  }
  t.throws(() => readTable('MUST-1 | 3.1 | MUST | nobody | text'));
  t.throws(() => readTable('MUST-1 | 3.1 | MUST | stack | text | whatever: this is'));
});

t.test('titles name requirements in one way', async (t) => {
  const of = (title: string): string[] | undefined => parseTitle(title)?.references.map(({ id, variant }) => `${id}/${variant}`);
  t.strictSame(of('MUST-15 (IPv6), SHLD-3: a thing'), ['MUST-15/IPv6', 'SHLD-3/']);
  t.strictSame(of('RFC 9438 4.2, 4.6, RFC 9293 3.5 figure 7, RFC 8985 6.2 step 5: a thing'), [
    'RFC 9438 4.2/', 'RFC 9438 4.6/', 'RFC 9293 3.5/', 'RFC 8985 6.2/',
  ]);
  t.strictSame(of('RFC 826: requests'), ['RFC 826 -/']);
  t.equal(of('a thing that no RFC asks for'), undefined);
  for (const wrong of ['RFC 9293 3.5', 'MUST-12 and SHLD-3: a thing', 'RFC 6298 3 (Karn): a thing']) t.throws(() => parseTitle(wrong), wrong);
});

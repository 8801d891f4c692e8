/** Which requirements the title of a scenario names, and which scenarios there are. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Scenario {
  /** Path below the repository's root, with forward slashes. */
  readonly file: string;
  /** `…` in it stands for any text. */
  readonly title: string;
  /** What the title says once the requirements are named. */
  readonly sentence: string;
  readonly references: readonly Reference[];
}

export interface Reference {
  /** As `Requirement.id`. */
  readonly id: string;
  /** As `Requirement.variant`; empty: all rows of the number. */
  readonly variant: string;
}

/** Folders of the tests that run on the virtual clock. */
const FOLDERS = ['test/scenario', 'test/tcp', 'test/conformance'];
const BEGINS_WITH_REFERENCE = /^(?:RFC \d|(?:MUST|SHLD|MAY|REC)-\d)/;
/** `MUST-15 (IPv6)`, `RFC 8985 6.2`, `RFC 9293 3.5 figure 7`, `RFC 8985 6.2 step 5`, `RFC 4443 2.4 (d)`; behind an RFC also a bare `6.3`;
 * an RFC without sections stands alone. */
const NUMBERED = /^((?:MUST|SHLD|MAY|REC)-\d+)(?: \(([^)]+)\))?$/;
const SECTION = /^(?:RFC (\d+))?(?:(?:^| )([A-Z]?\d+(?:\.\d+)*))?(?: (?:(?:step|figure) \w+|\(\w\)))?$/;

/** What a title names; null where it names no requirement. @throws Error where it begins as if it did, but does not. */
export function parseTitle(title: string): Omit<Scenario, 'file' | 'title'> | null {
  if (!BEGINS_WITH_REFERENCE.test(title)) return null;
  const colon = title.indexOf(': ');
  if (colon < 0) throw new Error(`no sentence behind what is named: ${title}`);
  const references: Reference[] = [];
  let rfc = '';
  for (const part of title.slice(0, colon).split(', ')) {
    const [, id, variant = ''] = NUMBERED.exec(part) ?? [];
    const [, number, section] = SECTION.exec(part) ?? [];
    if (id !== undefined) {
      references.push({ id, variant });
      continue;
    }
    rfc = number ?? rfc;
    if (rfc === '' || (number ?? section) === undefined) throw new Error(`'${part}' names no requirement: ${title}`);
    references.push({ id: `RFC ${rfc} ${section ?? '-'}`, variant: '' });
  }
  return { references, sentence: title.slice(colon + 2) };
}

/** All scenarios that name a requirement, as the sources have them, by file and place. */
export function scenarios(root: string): Scenario[] {
  const found: Scenario[] = [];
  for (const folder of FOLDERS) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
    for (const name of files.sort()) {
      const file = `${folder}/${name.replaceAll('\\', '/')}`;
      for (const title of titlesOf(readFileSync(join(root, file), 'utf8'))) {
        const parsed = parseTitle(title);
        if (parsed !== null) found.push({ file, title, ...parsed });
      }
    }
  }
  return found;
}

/** Titles of the tests and subtests in a source; `…` stands for what is filled in when they run. */
function titlesOf(source: string): string[] {
  const titles: string[] = [];
  for (const [, quote, text] of source.matchAll(/\.test\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/gs)) {
    const title = text!.replace(/\\(.)/gs, '$1');
    titles.push(quote === '`' ? title.replace(/(?:\$\{[^}]*\})+/g, '…') : title);
  }
  return titles;
}

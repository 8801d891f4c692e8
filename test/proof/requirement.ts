/** Requirements as data: one a line, so that a table of them reads as a table. */

export interface Requirement {
  /** 'MUST-12' for a row of RFC 9293's Appendix B, else 'RFC 8985 6.2': what titles of scenarios begin with. */
  readonly id: string;
  /** Where one number has several rows: which it is, as in 'MUST-15 (IPv6)'. */
  readonly variant: string;
  readonly rfc: number;
  readonly section: string;
  readonly level: string;
  /** Who has to do with it: the stack, its interface to applications, the network below TCP, or applications. */
  readonly concerns: string;
  /** What is wanted, in our words. */
  readonly text: string;
  /** Why no scenario shows it; empty: none is there yet. */
  readonly missing: string;
  /** Why it is not for this stack to meet. */
  readonly notApplicable: string;
  /** What a reader should know of how it is met. */
  readonly note: string;
}

const LEVELS = ['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'MAY', '-'];
const CONCERNS = ['stack', 'interface', 'network', 'application'];

/**
 * Reads a table: `id | section | level | concerns | text`, with ` | not met: why`, ` | n/a: why` or ` | note: what` behind it.
 * Of other RFCs the id is `RFC n`, and the section belongs to it.
 *
 * @throws Error where a line makes no sense.
 */
export function readTable(table: string): Requirement[] {
  return table.split('\n').filter((line) => line.trim() !== '').map(readRow);
}

function readRow(line: string): Requirement {
  const [name = '', section = '', level = '', concerns = '', text = '', ...rest] = line.split(' | ').map((cell) => cell.trim());
  const [, numbered, variant = ''] = /^((?:MUST|SHLD|MAY|REC)-\d+)(?: \(([^)]+)\))?$/.exec(name) ?? [];
  const [, rfc] = /^RFC (\d+)$/.exec(name) ?? [];
  const extra = { missing: '', notApplicable: '', note: '' };
  for (const cell of rest) {
    if (cell.startsWith('not met: ')) extra.missing = cell.slice(9);
    else if (cell.startsWith('n/a: ')) extra.notApplicable = cell.slice(5);
    else if (cell.startsWith('note: ')) extra.note = cell.slice(6);
    else throw new Error(`what is '${cell}' in: ${line}`);
  }
  if ((numbered === undefined && rfc === undefined) || !LEVELS.includes(level) || !CONCERNS.includes(concerns) || text === '') {
    throw new Error(`no requirement: ${line}`);
  }
  const id = numbered ?? `${name} ${section}`;
  return { id, variant, rfc: rfc === undefined ? 9293 : Number(rfc), section, level, concerns, text, ...extra };
}

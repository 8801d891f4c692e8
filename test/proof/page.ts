/** docs/conformance.md: the requirements, and the scenarios that show each. */
import type { Requirement } from './requirement.js';
import { REQUIREMENTS, TITLES } from './requirements.js';
import type { Scenario } from './titles.js';

export interface Row {
  readonly requirement: Requirement;
  readonly scenarios: readonly Scenario[];
  readonly result: 'met' | 'not met' | 'not applicable';
  /** Why it is not met or not applicable, or what is to be known besides. */
  readonly remark: string;
}

/** One row a requirement. @param passed the scenarios that have passed. */
export function rowsOf(passed: readonly Scenario[]): Row[] {
  const byId = new Map<string, Scenario[]>();
  for (const scenario of passed) {
    for (const { id, variant } of scenario.references) {
      const key = keyOf(id, variant);
      byId.set(key, [...byId.get(key) ?? [], scenario]);
    }
  }
  return REQUIREMENTS.map((requirement) => {
    const { id, variant, missing, notApplicable, note } = requirement;
    const shown = [...byId.get(keyOf(id, variant)) ?? [], ...variant === '' ? [] : byId.get(keyOf(id, '')) ?? []];
    if (shown.length > 0) return { requirement, scenarios: shown, result: 'met', remark: note };
    if (notApplicable !== '') return { requirement, scenarios: [], result: 'not applicable', remark: notApplicable };
    return { requirement, scenarios: [], result: 'not met', remark: missing === '' ? 'no scenario shows it' : missing };
  });
}

/** References of scenarios that are in no table. */
export function unknownReferences(scenarios: readonly Scenario[]): string[] {
  const known = new Set(REQUIREMENTS.flatMap(({ id, variant }) => [keyOf(id, variant), keyOf(id, '')]));
  const unknown: string[] = [];
  for (const { file, title, references } of scenarios) {
    for (const { id, variant } of references) {
      if (!known.has(keyOf(id, variant))) unknown.push(`${keyOf(id, variant)}, named in ${file}: ${title}`);
    }
  }
  return unknown;
}

/** The page. */
export function render(rows: readonly Row[]): string {
  const rfcs = [...new Set(rows.map(({ requirement }) => requirement.rfc))];
  const appendix = rows.filter(({ requirement }) => isNumbered(requirement));
  const lines = [
    '# Conformance',
    '',
    'What the RFCs ask of an endpoint, and the scenario that shows each. **Generated** by `npm run conformance` from the tests',
    'that run on the virtual clock: a title names the requirements that its scenario shows, as `MUST-12, SHLD-3: ...` (RFC 9293,',
    'Appendix B) or `RFC 8985 6.2: ...`. The requirements themselves are data, in `test/proof/`. A test holds this page to both.',
    '',
    '*Met* means that a scenario shows it and passes. A requirement without one stands here as *not met*, with the reason.',
    '*Not applicable* is what an option leaves out, or what is for applications to do.',
    '',
    '## Summary',
    '',
    '| | rows | met | not met | not applicable |',
    '| --- | ---: | ---: | ---: | ---: |',
    countLine('RFC 9293, Appendix B', appendix),
    ...rfcs.map((rfc) => countLine(
      `RFC ${rfc}${rfc === 9293 ? ', beyond Appendix B' : ''}: ${TITLES[rfc]}`,
      rows.filter(({ requirement }) => requirement.rfc === rfc && !isNumbered(requirement)),
    )),
    countLine('**all**', rows),
    '',
    '## Not met',
    '',
    ...notMet(rows),
    '',
    '## RFC 9293, Appendix B',
    '',
    ...table(appendix),
  ];
  for (const rfc of rfcs) {
    const own = rows.filter(({ requirement }) => requirement.rfc === rfc && !isNumbered(requirement));
    if (own.length > 0) lines.push('', `## RFC ${rfc}: ${TITLES[rfc]}`, '', ...table(own));
  }
  return `${lines.join('\n')}\n`;
}

function countLine(name: string, rows: readonly Row[]): string {
  const count = (result: Row['result']): number => rows.filter((row) => row.result === result).length;
  return `| ${name} | ${rows.length} | ${count('met')} | ${count('not met')} | ${count('not applicable')} |`;
}

function notMet(rows: readonly Row[]): string[] {
  const open = rows.filter(({ result }) => result === 'not met');
  if (open.length === 0) return ['Nothing.'];
  return open.map(({ requirement, remark }) => {
    const { level, text } = requirement;
    return `* ${nameOf(requirement)}${level === '-' ? '' : ` (${level})`}, ${lowerFirst(text)}: **not met**, ${remark}.`;
  });
}

function table(rows: readonly Row[]): string[] {
  return [
    '| requirement | section | level | concerns | what is wanted | result | scenario |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(({ requirement, scenarios, result, remark }) => {
      const { id, variant, section, level, concerns, text } = requirement;
      const name = isNumbered(requirement) ? keyOf(id, variant) : `RFC ${requirement.rfc}`;
      const shown = scenarios.map((scenario) => `${cell(scenario.sentence)} ([${baseName(scenario.file)}](../${scenario.file}))`);
      if (remark !== '') shown.push(`*${cell(remark)}*`);
      const mark = result === 'not met' ? '**not met**' : result;
      return `| ${name} | ${section} | ${level} | ${concerns} | ${cell(text)} | ${mark} | ${shown.join('<br>')} |`;
    }),
  ];
}

function isNumbered({ id }: Requirement): boolean {
  return !id.startsWith('RFC ');
}

function nameOf(requirement: Requirement): string {
  return keyOf(requirement.id, requirement.variant);
}

function keyOf(id: string, variant: string): string {
  return variant === '' ? id : `${id} (${variant})`;
}

function baseName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1).replace(/\.test\.ts$/, '');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_');
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z ]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

/** `docs/net-compatibility.md`, from the table of members. */
import { groups } from './members.js';
import type { Support } from './members.js';

const WORDS: Readonly<Record<Support, string>> = {
  yes: 'yes',
  part: 'in part',
  Node: "yes, Node's own",
  kernel: "yes, over the kernel",
  no: 'no',
};

const HEAD = `# Compatibility with \`node:net\`

What Node 20's documentation of \`net\` lists, and what there is of it in \`tcp-offload/net\`, and in \`node:net\` under
\`tcp-offload/register\`. Made by \`npm run compat -- --page\` from \`test/compat/members.ts\`, which a test holds against the package.

"Yes": as documented, on the TCP server. "Over the kernel": Node's own code serves it, beside the TCP server, in the same classes.

Node's own tests are the judge: \`npm run compat -- DIR\` runs \`test-net-*\` and \`test-http-*\` of a checkout of Node with this package in
place of \`net\`. \`compat/excluded.json\` lists what is left out, and why.
`;

export function render(): string {
  return [HEAD, ...groups.map(({ title, members }) => [
    `\n## ${title}\n\n| | | |\n| --- | --- | --- |\n`,
    ...members.map(({ name, support, note = '' }) => `| \`${name.replaceAll('|', '\\|')}\` | ${WORDS[support]} | ${note} |\n`),
  ].join(''))].join('');
}

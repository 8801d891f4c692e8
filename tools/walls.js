// The import walls as a lint rule: which folder may import what. `docs/architecture.md` tells why they stand where they do.
import { dirname, join, relative, sep } from 'node:path';

/**
 * The first zone that a file matches holds. `may` lists the repository's files that it may import, `types` those that
 * it may import types from as well, `packages` the modules from elsewhere. Paths are regular expressions.
 */
export const zones = [
  { files: /^lib\/nic\//, may: [/^lib\/nic\//], packages: [/^node:/, /^koffi$/] },

  { files: /^lib\/tcp\/wire\//, may: [/^lib\/tcp\/wire\//], packages: [] },
  {
    files: /^lib\/tcp\/ip\//,
    may: [/^lib\/tcp\/(wire|ip)\//, /^lib\/tcp\/(clock|transport|payload|errno|timer_wheel|limits|stats|siphash)\.ts$/, /^lib\/nic\/device\.ts$/],
    packages: [],
  },
  {
    files: /^lib\/tcp\/conn\//,
    may: [/^lib\/tcp\/(wire|conn)\//, /^lib\/tcp\/(clock|transport|payload|errno|timer_wheel|isn|ports|port_uses|syn_cookies|demux|listeners|limits|share|stats)\.ts$/],
    packages: [],
  },
  { files: /^lib\/tcp\//, may: [/^lib\/tcp\//, /^lib\/nic\/device\.ts$/], packages: [] },

  // The app's threads load no NIC: memory.ts is the one file of lib/nic that both sides know.
  {
    files: /^lib\/runtime\/app_/,
    may: [/^lib\/runtime\/(?!server_)/, /^lib\/tcp\/(errno|share|stats|conn\/(tcb|tcb_words|state|info)|wire\/address)\.ts$/, /^lib\/nic\/memory\.ts$/],
    types: [/^lib\/tcp\//, /^lib\/nic\/device\.ts$/],
    packages: [/^node:/],
  },
  // The command line looks at devices itself.
  { files: /^lib\/cli\//, may: [/^lib\/(cli|nic)\//, /^lib\/runtime\/raw_carrier\.ts$/], packages: [/^node:/] },
  { files: /^lib\/runtime\//, may: [/^lib\/(runtime|tcp|nic)\//], packages: [/^node:/] },
  {
    files: /^lib\/[^/]+\.ts$/,
    may: [/^lib\/[^/]+\.ts$/, /^lib\/runtime\/(?!server_)/, /^lib\/tcp\/(errno|limits|wire\/address)\.ts$/],
    types: [/^lib\/tcp\//],
    packages: [/^node:/],
  },
];

/** Null where `file` may import `source` (a module specifier), else what the wall says. */
export function refusal(file, source, typeOnly) {
  const zone = zones.find(({ files }) => files.test(file));
  if (zone === undefined) return null;
  if (!source.startsWith('.')) {
    return zone.packages.some((allowed) => allowed.test(source)) ? null : `${folder(file)} may not import the module '${source}'`;
  }
  const target = join(dirname(file), source).replace(/\.js$/, '.ts');
  const allowed = typeOnly ? [...zone.may, ...(zone.types ?? [])] : zone.may;
  return allowed.some((path) => path.test(target)) ? null : `${folder(file)} may not import ${target}`;
}

function folder(file) {
  return /^lib\/runtime\/app_/.test(file) ? 'an app thread\'s file' : dirname(file);
}

export const walls = {
  meta: { type: 'problem', schema: [], docs: { description: 'holds the import walls between the folders of lib/' } },
  create(context) {
    const file = relative(context.cwd, context.filename).split(sep).join('/');
    function check(node, source, typeOnly) {
      if (typeof source?.value !== 'string') return;
      const message = refusal(file, source.value, typeOnly);
      if (message !== null) context.report({ node, message });
    }
    return {
      ImportDeclaration: (node) => check(node, node.source, node.importKind === 'type'),
      ExportNamedDeclaration: (node) => check(node, node.source, node.exportKind === 'type'),
      ExportAllDeclaration: (node) => check(node, node.source, node.exportKind === 'type'),
      ImportExpression: (node) => check(node, node.source, false),
    };
  },
};

// Builds the package into dist/: the compiler's output, and the declarations once more for CommonJS consumers.
// The code itself is not doubled: `require` loads the same ES modules, so both ways share one state.
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import ts from 'typescript';
import { inlineConstants } from './inline_constants.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const lib = join(root, 'lib/');

compile();
removeStale();
bundleServer();
declareForCommonJs();

/** As `tsc --incremental`; then the library's code once more, all of it: a constant that a file has inlined may have changed in another. */
function compile() {
  const { options, fileNames, errors } = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.json'), {}, {
    ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]),
  });
  const builder = ts.createIncrementalProgram({ rootNames: fileNames, options });
  fail([...errors, ...builder.getSyntacticDiagnostics(), ...builder.getSemanticDiagnostics()]);
  fail(builder.emit().diagnostics);
  const library = ts.createProgram(fileNames.filter((name) => name.startsWith(lib)), { ...options, incremental: false, tsBuildInfoFile: undefined, declaration: false, noCheck: true });
  const { diagnostics } = library.emit(undefined, undefined, undefined, false, { before: [inlineConstants(library)] });
  fail(diagnostics);
}

/** The TCP server's thread loads one file, and not eighty as ES modules: it is up in half the time. */
function bundleServer() {
  buildSync({
    entryPoints: [join(dist, 'lib/runtime/server_worker.js')], outfile: join(dist, 'lib/runtime/server_worker.cjs'),
    bundle: true, packages: 'external', platform: 'node', format: 'cjs', target: 'node20', sourcemap: true, sourcesContent: false, logLevel: 'warning',
  });
}

/** Ends the build where there is something to complain of. */
function fail(diagnostics) {
  if (diagnostics.length === 0) return;
  process.stderr.write(ts.formatDiagnosticsWithColorAndContext(diagnostics, {
    getCanonicalFileName: (name) => name, getCurrentDirectory: ts.sys.getCurrentDirectory, getNewLine: () => '\n',
  }));
  process.exit(1);
}

/** Removes output whose source is gone, so that a deleted test does not run on. */
function removeStale() {
  for (const folder of ['lib', 'examples', 'test', 'bench', 'conformance']) {
    const sources = new Set(list(join(root, folder)).filter((path) => path.endsWith('.ts')).map((path) => path.slice(0, -3)));
    for (const path of list(join(dist, folder))) {
      const source = path.replace(/\.(d\.ts|js|js\.map)$/, '');
      if (!sources.has(source)) rmSync(join(dist, folder, path), { force: true });
    }
  }
}

/** A file says by its folder's package.json whether its declarations describe ES modules or CommonJS. */
function declareForCommonJs() {
  const target = join(dist, 'types-cjs');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const path of list(join(dist, 'lib'))) {
    if (path.endsWith('.d.ts')) cpSync(join(dist, 'lib', path), join(target, path));
  }
  writeFileSync(join(target, 'package.json'), '{ "type": "commonjs" }\n');
}

/** Every file below a folder, as a path relative to it; none where the folder is missing. */
function list(folder) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

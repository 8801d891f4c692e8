import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';

const { refusal, zones } = await import(pathToFileURL(resolve('tools/walls.js')).href) as {
  refusal(file: string, source: string, typeOnly: boolean): string | null;
  zones: { files: RegExp }[];
};

t.test('the walls let through what they should, and nothing else', (t) => {
  const cases: [file: string, source: string, typeOnly: boolean, allowed: boolean][] = [
    ['lib/nic/af_packet.ts', 'koffi', false, true],
    ['lib/nic/af_packet.ts', '../tcp/wire/bytes.js', false, false],
    ['lib/nic/af_packet.ts', '../runtime/layout.js', true, false],
    ['lib/tcp/wire/tcp.ts', './bytes.js', false, true],
    ['lib/tcp/wire/tcp.ts', '../ip/routes.js', false, false],
    ['lib/tcp/wire/tcp.ts', 'node:buffer', false, false],
    ['lib/tcp/ip/routes.ts', '../wire/ipv4.js', false, true],
    ['lib/tcp/ip/routes.ts', '../../nic/device.js', true, true],
    ['lib/tcp/ip/routes.ts', '../conn/tcb.js', true, false],
    ['lib/tcp/conn/arrive.ts', '../ip/routes.js', true, false],
    ['lib/tcp/conn/arrive.ts', '../stack.js', true, false],
    ['lib/tcp/stack.ts', './conn/tcb.js', false, true],
    ['lib/tcp/stack.ts', '../nic/open.js', true, false],
    ['lib/tcp/stack.ts', '../runtime/layout.js', true, false],
    ['lib/runtime/app_port.ts', '../nic/open.js', false, false],
    ['lib/runtime/app_port.ts', './server_loop.js', false, false],
    ['lib/runtime/app_port.ts', './layout.js', false, true],
    ['lib/runtime/server_worker.ts', '../nic/open.js', false, true],
    ['lib/cli/doctor.ts', '../nic/open.js', false, true],
    ['lib/cli/doctor.ts', '../tcp/stack.js', false, false],
    ['lib/net.ts', './nic/memory.js', false, false],
    ['lib/net.ts', './runtime/app_port.js', false, true],
  ];
  for (const [file, source, typeOnly, allowed] of cases) {
    t.equal(refusal(file, source, typeOnly) === null, allowed, `${file} ${allowed ? 'may' : 'may not'} import ${source}`);
  }
  t.end();
});

t.test('every file of lib/ stands behind a wall', (t) => {
  const files = readdirSync('lib', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  t.strictSame(files.filter((path) => !zones.some((zone) => zone.files.test(`lib/${path}`))), []);
  t.end();
});

t.test('what an app thread loads holds no device and none of the protocols', (t) => {
  const loaded = [...reach('dist/lib/index.js')].map((path) => path.slice('dist/'.length));
  // Native code tells the address of a buffer, and whether the event loop could watch a NIC; nothing is called on a device.
  const allowed = /^lib\/(nic\/(memory|event_loop|syscalls|system_error|device)|tcp\/(clock|errno|limits|share|stats|conn\/(tcb|tcb_words|state|info)|wire\/address))\.js$/;
  t.strictSame(loaded.filter((path) => /^lib\/(nic|tcp)\//.test(path) && !allowed.test(path)), []);
  t.notOk(loaded.some((path) => /^lib\/runtime\/server_/.test(path)), 'nor the TCP server itself');
  t.end();
});

/** Compiled files that loading `entry` loads: types are gone from them. */
function reach(entry: string): Set<string> {
  const seen = new Set<string>();
  const open = [entry];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, source = ''] of readFileSync(file, 'utf8').matchAll(/(?:\bfrom|^import) '(\.[^']+)'/gm)) {
      const target = join(dirname(file), source);
      if (existsSync(target)) open.push(target);
    }
  }
  return seen;
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parseWrk } from '../../bench/load.js';
import { writePage } from '../../bench/page.js';
import type { Found } from '../../bench/page.js';
import { defaultPlacement, parseCpuList } from '../../bench/placement.js';
import { REQUEST_METRICS, median, rows, table } from '../../bench/report.js';
import type { Row, Sample } from '../../bench/report.js';
import { missing } from '../interop/support.js';

const PROGRAM = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
const WRK = `Running 2s test @ http://198.18.0.2/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.36ms  571.02us  14.31ms   92.10%
    Req/Sec    48.20k    20.52k   74.15k    60.00%
  Latency Distribution
     50%  940.00us
     75%    1.42ms
     90%    1.81ms
     99%    2.61ms
  95534 requests in 2.00s, 36.63MB read
Requests/sec:  47676.25
Transfer/sec:     18.28MB
`;

t.test("wrk's report", (t) => {
  t.strictSame(parseWrk(WRK), { requests: 95534, perSecond: 47676.25, p50: 940, p99: 2610, errors: 0 });
  const bad = WRK.replace('Requests/sec', '  Socket errors: connect 0, read 3, write 0, timeout 4\n  Non-2xx or 3xx responses: 5\nRequests/sec');
  t.equal(parseWrk(bad).errors, 12);
  t.throws(() => parseWrk('unable to connect to 198.18.0.2:80'), /unable to connect/);
  t.end();
});

t.test('CPUs', (t) => {
  t.strictSame(parseCpuList('0'), [0]);
  t.strictSame(parseCpuList('0,2-4'), [0, 2, 3, 4]);
  for (const wrong of ['', 'x', '1-', '3-1']) t.throws(() => parseCpuList(wrong), /not a list of CPUs/, wrong);
  t.strictSame(defaultPlacement([0]), { server: 'auto', app: '0', kernel: '0', client: '0' });
  t.strictSame(defaultPlacement([0, 1]), { server: 'auto', app: '0', kernel: '0', client: '1' });
  t.strictSame(defaultPlacement([4, 5, 6, 7]), { server: 'auto', app: '4,5,6', kernel: '4,5,6', client: '7' });
  t.end();
});

t.test('medians and ratios', (t) => {
  t.equal(median([]), null);
  t.equal(median([NaN]), null);
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([1, 2, NaN, 4, 3]), 2.5);
  const sample = (perSecond: number, appCpu: number, serverCpu = NaN): Sample => ({ perSecond, p50: 1000, p99: 2000, appCpu, serverCpu, collections: 3 });
  // The machine is half as fast in the second round; the ratios do not notice.
  const rounds = [
    { offload: sample(1500, 5, 4), kernel: sample(1000, 20) },
    { offload: sample(750, 10, 8), kernel: sample(500, 40) },
    { offload: sample(1600, 5, 4), kernel: sample(1000, 20) },
  ];
  const found = Object.fromEntries(rows('http', rounds, REQUEST_METRICS).map((row) => [row.metric, row]));
  t.strictSame(found['requests'], {
    bench: 'http', metric: 'requests', unit: '1/s', better: 'more', offload: 1500, kernel: 1000, ratio: 1.5,
    offloadSpread: [750, 1600], kernelSpread: [500, 1000], ratioSpread: [1.5, 1.6], rounds: 3,
  });
  t.equal(found['app-cpu']?.ratio, 0.25);
  t.strictSame([found['server-cpu']?.offload, found['server-cpu']?.kernel, found['server-cpu']?.ratio], [4, null, null]);
  t.equal(found['cpu']?.ratio, 0.45);
  t.match(table(rows('http', rounds, REQUEST_METRICS)), /requests 1\/s +1500 +750\.\.1600 +1000 +500\.\.1000 +1\.50/);
  t.end();
});

t.test('a page: which side is ahead, plots, and no columns of a side that has no part', (t) => {
  const folder = t.testdir();
  const sample = (perSecond: number, p99: number): Sample => ({ perSecond, p50: 1, p99, appCpu: 5, serverCpu: NaN, collections: 0 });
  const rounds = [{ offload: sample(150, 30), kernel: sample(100, 20) }, { offload: sample(120, 30), kernel: sample(100, 10) }];
  const steps = [{ offload: { one: 3 }, kernel: { one: NaN } }];
  const found: Found[] = [
    { bench: 'http', parts: [{ name: '', rows: rows('http', rounds, REQUEST_METRICS) }] },
    { bench: 'overload', parts: [{ name: 'closed', rows: rows('overload closed', rounds, REQUEST_METRICS) }] },
    { bench: 'micro', parts: [{ name: '', rows: rows('micro', steps, [{ name: 'one', unit: 'ns', better: 'less', of: ({ one }) => one }]) }] },
  ];
  const settings = { rounds: 2, duration: 1, warmup: 0, placement: defaultPlacement([0, 1]) };
  writePage(join(folder, 'found.md'), 'npm run bench', settings, 'wrk', found);
  const text = readFileSync(join(folder, 'found.md'), 'utf8');
  t.match(text, '| http | **1.35 (1.20..1.50)** | *2.25 (1.50..3.00)* | 1.00 (1.00..1.00) | 1.00 (1.00..1.00) |');
  t.match(text, 'Kernel TCP wins here: http: p99 2.25; overload, closed: p99 2.25.');
  t.match(text, '|  | TCP server | (spread) |\n| --- | ---: | ---: |\n| one ns | 3.00 | 3.00..3.00 |\n');
  for (const plot of ['ratios', 'overload']) {
    t.match(text, `(found/${plot}.svg)`);
    t.match(readFileSync(join(folder, 'found', `${plot}.svg`), 'utf8'), /^<svg [^]*TCP server[^]*<\/svg>\n$/);
  }
  t.notMatch(text, 'micro.svg');
  t.end();
});

t.test('a short run against kernel TCP', { skip: missing('ip', 'wrk') }, (t) => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, 'raw', 'bulk', 'micro', '--json', '--rounds', '1', '--duration', '1', '--warmup', '0'], { encoding: 'utf8' });
  t.equal(status, 0, 'ends well', { stderr });
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as Row);
  t.strictSame([...new Set(lines.map(({ bench }) => bench))], ['raw', 'send', 'receive', 'micro']);
  for (const line of lines) {
    t.strictSame(Object.keys(line), ['bench', 'metric', 'unit', 'better', 'offload', 'kernel', 'ratio', 'offloadSpread', 'kernelSpread', 'ratioSpread', 'rounds']);
    if (line.bench === 'micro') t.ok((line.offload ?? 0) > 0 && line.kernel === null, line.metric);
  }
  for (const line of lines.filter(({ metric }) => metric === 'requests' || metric === 'goodput')) {
    const least = line.metric === 'requests' ? 100 : 0.01;
    t.ok((line.offload ?? 0) > least && (line.kernel ?? 0) > least, JSON.stringify(line));
  }
  t.notMatch(stderr, 'ERRORS');
  t.end();
});

t.test('a new connection for each request, many connections, overload, and each device', { skip: missing('ip', 'wrk') }, (t) => {
  const run = (...args: string[]): Row[] => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, ...args, '--json', '--rounds', '1', '--duration', '1', '--warmup', '0'], { encoding: 'utf8' });
    t.equal(status, 0, 'ends well', { stderr });
    t.notMatch(stderr, 'ERRORS');
    return stdout.trim().split('\n').map((line) => JSON.parse(line) as Row);
  };
  const found = [...run('connections', 'scale', '--counts', '20,2000'), ...run('overload', '--only', 'offload', '--connections', '50', '--page', 'static', '--bytes', '100')];
  found.push(...run('devices', '--only', 'offload', '--connections', '8'));
  const figure = (bench: string, metric: string): Row => found.find((row) => row.bench === bench && row.metric === metric) as Row;
  for (const side of ['offload', 'kernel'] as const) {
    t.ok((figure('connections', 'requests')[side] ?? 0) > 10);
    t.ok((figure('scale 2000', 'requests')[side] ?? 0) > 10);
    t.ok((figure('scale 2000', 'memory')[side] ?? 0) > 100);
    t.equal(figure('scale 20', 'cpu-growth')[side], 1);
  }
  for (const device of ['packet', 'packet, address shared', 'xdp', 'macvlan', 'tap', 'tun']) t.ok((figure(`devices ${device}`, 'requests').offload ?? 0) > 10, device);
  t.ok((figure('overload closed', 'requests').offload ?? 0) > 10);
  t.equal(figure('overload 2 times its own most', 'requests').kernel, null);
  t.ok((figure('overload 2 times its own most', 'offered').offload ?? 0) > (figure("overload 0.25 of kernel TCP's most", 'offered').offload ?? Infinity));
  t.end();
});

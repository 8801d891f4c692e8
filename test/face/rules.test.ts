/** What the environment says: of the TCP server that starts by itself, and of which listeners and connections it carries. */
import t from 'tap';
import { environmentOptions, environmentRules } from '../../lib/environment.js';
import { readRule } from '../../lib/net_rules.js';
import { checkOptions } from '../../lib/options.js';

const RULES: [rule: string, carried: [string, number][], left: [string, number][]][] = [
  ['*', [['::', 0], ['192.0.2.1', 65535]], []],
  ['none', [], [['127.0.0.1', 80], ['::', 0]]],
  [':80', [['::', 80], ['10.0.0.1', 80]], [['::', 81], ['::', 0]]],
  ['*:80, *:8000-8999', [['::1', 80], ['::1', 8000], ['::1', 8999]], [['::1', 7999], ['::1', 9000]]],
  ['10.0.0.0/8', [['10.1.2.3', 5], ['::ffff:10.1.2.3', 5]], [['11.0.0.1', 5], ['::', 5]]],
  ['192.0.2.7:443', [['192.0.2.7', 443]], [['192.0.2.7', 80], ['192.0.2.8', 443]]],
  ['[2001:db8::/32]:443', [['2001:db8::1', 443]], [['2001:db9::1', 443], ['2001:db8::1', 80]]],
  ['[::1]', [['::1', 1]], [['::2', 1], ['127.0.0.1', 1]]],
  ['!127.0.0.1:5432', [['127.0.0.1', 5433], ['10.0.0.1', 5432]], [['127.0.0.1', 5432]]],
  ['10.0.0.0/8,!10.9.0.0/16,!:22', [['10.1.0.1', 80]], [['10.9.0.1', 80], ['10.1.0.1', 22], ['1.1.1.1', 80]]],
];

t.test('rules', async (t) => {
  for (const [text, carried, left] of RULES) {
    const rule = readRule('TCP_OFFLOAD_LISTEN', text);
    t.same(carried.filter((place) => !rule(...place)), [], `${text}: carried`);
    t.same(left.filter((place) => rule(...place)), [], `${text}: left to the kernel`);
  }
});

t.test('rules that there are not', async (t) => {
  for (const text of ['', 'localhost', '80', ':80-79', ':70000', '10.0.0.0/33', '::1', '[::1', '10.0.0.0/', '*:80,', '[10.0.0.1/x]', 'NONE']) {
    t.throws(() => readRule('TCP_OFFLOAD_LISTEN', text), { code: 'ERR_INVALID_ARG_VALUE', message: /TCP_OFFLOAD_LISTEN.*\*:80/ }, text);
  }
});

t.test('options of the environment', async (t) => {
  t.same(environmentOptions({ HOME: '/', TCP_OFFLOAD_DEVICE: '' }), {}, 'an empty variable says nothing');
  const options = environmentOptions({
    TCP_OFFLOAD_DEVICE: 'packet:eth1', TCP_OFFLOAD_ADDRESS: '192.0.2.10/24, 2001:db8::10/64', TCP_OFFLOAD_GATEWAY: '192.0.2.1',
    TCP_OFFLOAD_CPU: 'none', TCP_OFFLOAD_SPIN: '20', TCP_OFFLOAD_OPTIONS: '{ "maxApps": 4, "spin": 10, "tcp": { "congestion": "newreno" } }',
  });
  t.match(checkOptions(options), {
    device: 'packet:eth1', addresses: ['192.0.2.10/24', '2001:db8::10/64'], gateways: ['192.0.2.1'], cpu: null, spinUs: 20,
    sizes: { maxApps: 4 }, tcp: { congestion: 'newreno' },
  });
  const given = { TCP_OFFLOAD_DEVICE: 'packet:eth1', TCP_OFFLOAD_ADDRESS: 'dhcp, slaac', TCP_OFFLOAD_OPTIONS: '{ "addressTimeout": 5000 }' };
  t.match(checkOptions(environmentOptions(given)), { addresses: ['dhcp', 'slaac'], addressTimeoutUs: 5e6 });
  t.equal(environmentOptions({ TCP_OFFLOAD_CPU: 'auto' }).cpu, 'auto');
  t.equal(environmentOptions({ TCP_OFFLOAD_CPU: '3' }).cpu, 3);
  const { listen, connect } = environmentRules({ TCP_OFFLOAD_LISTEN: ':80' });
  t.same([listen?.('::', 80), listen?.('::', 81), connect], [true, false, null]);
});

t.test('variables that cannot be read', async (t) => {
  const refusal = (name: string, message: RegExp): { code: string; message: RegExp } => ({ code: 'ERR_INVALID_ARG_VALUE', message: new RegExp(`${name}.*${message.source}`) });
  t.throws(() => environmentOptions({ TCP_OFFLOAD_GATWAY: 'x' }), refusal('TCP_OFFLOAD_GATWAY', /is not a variable.*TCP_OFFLOAD_GATEWAY/));
  t.throws(() => environmentOptions({ TCP_OFFLOAD_SPIN: 'x' }), refusal('TCP_OFFLOAD_SPIN', /number/));
  t.throws(() => environmentOptions({ TCP_OFFLOAD_OPTIONS: '{' }), refusal('TCP_OFFLOAD_OPTIONS', /JSON/));
  t.throws(() => environmentOptions({ TCP_OFFLOAD_OPTIONS: '[]' }), refusal('TCP_OFFLOAD_OPTIONS', /JSON object/));
  t.throws(() => environmentRules({ TCP_OFFLOAD_CONNECT: 'x:y' }), refusal('TCP_OFFLOAD_CONNECT', /no place|is not|that there/));
});

/** The command `tcp-offload`: what it says of this machine as root, without capabilities, and as another user. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { DeviceEntry } from '../../lib/cli/devices.js';
import type { Diagnosis, DeviceKind, Finding } from '../../lib/cli/doctor.js';
import { missing } from '../interop/support.js';

const PROGRAM = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const lacking = missing('ip', 'setpriv');
const KINDS: readonly DeviceKind[] = ['packet', 'shared', 'xdp', 'xdp-shared', 'macvlan', 'tap', 'tun', 'raw', 'loopback'];
// Another user, who may read this folder wherever it lies.
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
const WITHOUT = ['setpriv', '--bounding-set=-all'];
const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks would want to write where another user may not

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** @param before commands that the program is run by. */
function run(before: readonly string[], ...args: string[]): Said {
  const [command, ...rest] = [...before, process.execPath, PROGRAM, ...args] as [string, ...string[]];
  const { status, stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8', env });
  return { code: status, out: stdout, err: stderr };
}

function diagnosis(before: readonly string[]): { code: number | null; ownNamespace: boolean; of: Record<DeviceKind, Finding> } {
  const { code, out } = run(before, 'doctor', '--json');
  const { devices, ownNamespace } = JSON.parse(out) as Diagnosis;
  return { code, ownNamespace, of: Object.fromEntries(devices.map((each) => [each.kind, each])) as Record<DeviceKind, Finding> };
}

/** A namespace with a veth pair, one end down, and TAP and TUN interfaces that were made for root. */
function namespace(t: { teardown(task: () => void): unknown }): { name: string; within: string[]; ip(...args: string[]): string } {
  const name = `cli${process.pid}`;
  const call = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  call('netns', 'add', name);
  t.teardown(() => void call('netns', 'del', name));
  const ip = (...args: string[]): string => call('-n', name, ...args);
  ip('link', 'add', 'left', 'address', '02:00:00:00:00:0a', 'mtu', '1400', 'type', 'veth', 'peer', 'name', 'right');
  ip('address', 'add', '198.18.0.5/24', 'dev', 'left');
  ip('address', 'add', '2001:db8::5/64', 'dev', 'left', 'nodad');
  return { name, within: ['ip', 'netns', 'exec', name], ip };
}

t.test('the command line', (t) => {
  const { out, code } = run([], '--help');
  t.equal(code, 0);
  for (const word of ['tcp-offload doctor', 'tcp-offload devices', '--json', 'Ends with 0 where']) t.match(out, word);
  t.equal(run([], 'doctor', '-h').out, out);
  for (const [args, complaint] of [[[], /a command is wanting/], [['cure'], /no command 'cure'/], [['doctor', 'eth0'], /no command 'doctor eth0'/], [['--nix'], /--nix/]] as const) {
    const said = run([], ...args);
    t.equal(said.code, 2);
    t.equal(said.out, '');
    t.match(said.err, complaint);
    t.match(said.err, /tcp-offload doctor \[--json\]/);
  }
  t.end();
});

t.test('devices: every interface with what it is and how it is used', { skip: lacking }, (t) => {
  const { within, ip } = namespace(t);
  ip('link', 'set', 'left', 'up');
  ip('tuntap', 'add', 'dev', 'tap7', 'mode', 'tap', 'user', '0');
  ip('tuntap', 'add', 'dev', 'tun7', 'mode', 'tun');
  ip('address', 'add', '198.18.1.1/24', 'dev', 'tun7');
  const { code, out } = run([...within, ...WITHOUT], 'devices', '--json');
  t.equal(code, 0);
  const devices = Object.fromEntries((JSON.parse(out) as DeviceEntry[]).map((each) => [each.name, each]));
  t.match(devices['lo'], { kind: 'loopback', up: false, uses: [] });
  t.match(devices['left'], {
    kind: 'veth', up: true, carrier: false, mtu: 1400, mac: '02:00:00:00:00:0a', addresses: ['198.18.0.5/24', '2001:db8::5/64'],
    offloads: { txChecksum: true, segmentation: true },
    uses: [{ device: 'packet:left', address: 'own', network: true }, { device: 'xdp:left', address: 'own', network: false }, { device: 'macvlan:left', address: 'own', network: true },
      { device: 'packet:left', address: 'shared', network: false }, { device: 'xdp:left', address: 'shared', network: false }, { device: 'raw:left', address: 'kernel', network: false }],
  });
  t.match(devices['right'], { up: false, addresses: [], uses: [{ device: 'packet:right', address: 'own' }, { device: 'xdp:right', address: 'own' }] });
  t.match(devices['tap7'], { kind: 'tap', uses: [{ device: 'tap:tap7', address: 'own', network: true }] });
  t.match(devices['tun7'], { kind: 'tun', mac: null, uses: [{ device: 'tun:tun7', address: 'own', network: false }, { device: 'raw:tun7', address: 'kernel' }] });
  const text = run([...within, ...NOBODY], 'devices');
  t.equal(text.code, 0, 'anybody may ask');
  t.match(text.out, /^left: veth, up, no carrier, MTU 1400, 02:00:00:00:00:0a\n  addresses  198\.18\.0\.5\/24, 2001:db8::5\/64\n  offloads   checksums, segmentation.*\n  use        'packet:left', with an address of its own, or of the network \(dhcp, slaac\)\n  or         'xdp:left', with an address of its own\n  or         'macvlan:left', with an address of its own, or of the network \(dhcp, slaac\)\n  or         'packet:left', address 'shared'\n  or         'xdp:left', address 'shared'\n/m);
  t.match(text.out, /^right: veth, down: ip link set right up,/m);
  t.match(text.out, /^lo: [^]*?use        by nothing: the device 'loopback'/m);
  t.end();
});

t.test('doctor as root: tried in a namespace of its own, of which nothing is left', { skip: lacking }, (t) => {
  const { within, ip } = namespace(t);
  const before = ip('link') + ip('address');
  const { code, ownNamespace, of } = diagnosis(within);
  t.equal(code, 0);
  t.equal(ownNamespace, true);
  t.strictSame(Object.keys(of), KINDS);
  for (const kind of KINDS) if (kind !== 'raw') t.match(of[kind], { works: true, problem: null, code: null }, kind);
  let hasPackage = true;
  try {
    createRequire(import.meta.url)('raw-socket');
  } catch {
    hasPackage = false;
  }
  t.match(of.raw, hasPackage ? { works: true } : { works: false, code: 'MODULE_NOT_FOUND', problem: /npm install raw-socket/ });
  t.equal(ip('link') + ip('address'), before);
  const text = run(within, 'doctor');
  t.equal(text.code, 0);
  t.match(text.out, /root; tried in a network namespace of its own\n\npacket     works: 'packet:IFNAME' with an address of its own, or of the network \('dhcp', 'slaac'\)\nshared     works: 'packet:IFNAME' with the address 'shared'\nxdp        works: 'xdp:IFNAME' \(native mode, copied, 1 receive queue\)\nxdp-shared works: 'xdp:IFNAME' with the address 'shared' \(native mode, copied, 1 receive queue\)\nmacvlan    works: 'macvlan:IFNAME' with .*\ntap        works: /);
  t.end();
});

t.test('doctor without capabilities: what is missing is named; an interface that was made for the user is all it takes', { skip: lacking }, (t) => {
  const { within, ip } = namespace(t);
  const nothingUp = diagnosis([...within, ...WITHOUT]);
  t.equal(nothingUp.code, 1);
  t.match(nothingUp.of.packet, { works: false, triedOn: null, problem: /no Ethernet interface that is up.*run as root/ });
  ip('link', 'set', 'left', 'up');
  const { code, ownNamespace, of } = diagnosis([...within, ...WITHOUT]);
  t.equal(code, 1);
  t.equal(ownNamespace, false);
  t.match(of.packet, { works: false, triedOn: 'left', code: 'EPERM', problem: /needs CAP_NET_RAW; run as root, or grant it: setcap/ });
  t.match(of.shared, { works: false, triedOn: 'left', code: 'EPERM' });
  t.match(of.xdp, { works: false, triedOn: 'left', code: 'EPERM', problem: /needs CAP_BPF and CAP_NET_ADMIN; run as root, or grant them: setcap/, way: null });
  t.match(of['xdp-shared'], { works: false, triedOn: 'left', code: 'EPERM', problem: /needs CAP_BPF and CAP_NET_ADMIN/ });
  t.match(of.macvlan, { works: false, triedOn: 'left', code: 'EPERM', problem: /macvlan\) needs CAP_NET_ADMIN/ });
  t.match(of.tap, { works: false, code: 'EPERM', problem: /needs CAP_NET_ADMIN.*ip tuntap add dev tap0 mode tap user/ });
  t.match(of.loopback, { works: true });
  ip('tuntap', 'add', 'dev', 'tap7', 'mode', 'tap', 'user', '0');
  ip('link', 'set', 'tap7', 'up');
  const withTap = diagnosis([...within, ...WITHOUT]);
  t.equal(withTap.code, 0);
  t.match(withTap.of.tap, { works: true, triedOn: 'tap7' });
  const xdp = diagnosis([...within, 'setpriv', '--bounding-set=-all,+net_raw,+net_admin,+bpf,+ipc_lock']);
  t.equal(xdp.ownNamespace, false);
  t.match(xdp.of.xdp, { works: true, triedOn: 'left', way: 'generic mode, copied, 1 receive queue' }, 'the driver of an interface that is in use is left alone');
  t.match(xdp.of['xdp-shared'], { works: false, code: 'EPERM', problem: /needs CAP_PERFMON besides; run as root, or grant it: setcap/ });
  const perfmon = diagnosis([...within, 'setpriv', '--bounding-set=-all,+net_raw,+net_admin,+bpf,+ipc_lock,+perfmon']);
  t.match(perfmon.of['xdp-shared'], { works: true, triedOn: 'left', way: 'generic mode, copied, 1 receive queue' });
  const onlyRaw = diagnosis([...within, 'setpriv', '--bounding-set=-all,+net_raw']);
  t.match(onlyRaw.of.packet, { works: true, triedOn: 'left' });
  t.match(onlyRaw.of.shared, { works: false, code: 'EPERM', problem: /rule of nftables; it needs CAP_NET_ADMIN/ });
  t.end();
});

t.test('doctor as another user', { skip: lacking }, (t) => {
  const { within, ip } = namespace(t);
  ip('link', 'set', 'left', 'up');
  const { code, out } = run([...within, ...NOBODY], 'doctor');
  t.ok(code === 0 || code === 1, 'whether /dev/net/tun is open to everybody is the system\'s');
  t.match(out, /user 65534; tried on the interfaces that there are/);
  t.match(out, /^packet     does not work on left\n           EPERM: a packet socket on "left" needs CAP_NET_RAW/m);
  t.match(out, /^tap        does not work on tap0\n           (EPERM|EACCES|ENOENT): /m);
  t.match(out, /^loopback   works: 'loopback'$/m);
  t.end();
});

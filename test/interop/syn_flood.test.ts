/** 100 000 forged SYNs on the wire, and an honest client of the kernel's beside them. */
import { createServer as createHttpServer } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { app } from '../../examples/http.js';
import type { Network } from '../../examples/support/network.js';
import { listen } from '../../lib/index.js';
import type { TcpServer } from '../../lib/index.js';
import { DEVICE_REGION_LENGTH } from '../../lib/nic/device.js';
import type { Device } from '../../lib/nic/device.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { openDevice } from '../../lib/nic/open.js';
import { Layout } from '../../lib/runtime/layout.js';
import { FREE, SYN_RECEIVED } from '../../lib/tcp/conn/state.js';
import { STATE, TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { parseDotted } from '../../lib/tcp/wire/address.js';
import { put16 } from '../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader4 } from '../../lib/tcp/wire/checksum.js';
import { emitIPv4, PROTOCOL_TCP } from '../../lib/tcp/wire/ipv4.js';
import { emitSynOptions } from '../../lib/tcp/wire/options.js';
import { emitTcp, SYN } from '../../lib/tcp/wire/tcp.js';
import { missing, shell, withServer } from './support.js';

const SYNS = 100_000;
const BATCH = 250;
/** SYNs that the server has not looked at yet: fewer than the kernel queues on a veth pair (1000), or it would drop honest ones too. */
const AHEAD = 400;
const SYN_BACKLOG = 512;
const ETHERNET = 14;
const IP = ETHERNET + 20;
const SYN_LENGTH = IP + 20 + 20;

t.test('RFC 4987 4: 100 000 forged SYNs: memory stays bounded and an honest client is answered within a second', {
  skip: missing('ip', 'curl'), timeout: 240_000,
}, (t) => withServer({ tcp: { synBacklog: SYN_BACKLOG } }, async (network, server) => {
  const peer = await peerNamespace(network);
  try {
    const http = listen(createHttpServer(app), { port: 80 });
    await new Promise((resolve) => http.once('listening', resolve));
    const url = `http://${network.serverAddress}/`;
    const get = (): Promise<string> => shell(`ip netns exec ${peer} curl -sS -m 20 -o /dev/null -w '%{http_code} %{time_total}' ${url}`);
    await get();
    const flood = await openFlood(network, peer);
    const before = memoryBesideHeap();
    let sent = 0;
    let most = 0;
    let mostHalfOpen = 0;
    const seen = server.counters.TcpInSegs;
    const answers: { code: string; seconds: number }[] = [];
    const honest = (async () => {
      while (sent < SYNS) {
        const [code, seconds] = (await get()).split(' ') as [string, string];
        answers.push({ code, seconds: Number(seconds) });
      }
    })();
    while (sent < SYNS) {
      if (sent - (server.counters.TcpInSegs - seen) < AHEAD) {
        flood.send(BATCH);
        sent += BATCH;
      }
      if (sent % 10_000 === 0) {
        const { used, halfOpen } = flows(server);
        most = Math.max(most, used);
        mostHalfOpen = Math.max(mostHalfOpen, halfOpen);
      }
      await setImmediate();
    }
    await honest;
    // Frames are taken in order: once this one is answered every SYN has been, and the counters stand still.
    await get();
    const grown = memoryBesideHeap() - before;
    const counters = server.counters;

    t.ok(answers.length > 0, `${answers.length} honest requests while it lasted`);
    t.same(answers.filter(({ code }) => code !== '200'), [], 'each was answered');
    const times = answers.map(({ seconds }) => seconds).sort((a, b) => a - b);
    // Not each of them: the client shares its CPUs with the flood.
    t.ok(times[times.length >> 1]! < 1, `the median after ${times[times.length >> 1]} s, the last after ${times.at(-1)} s`);
    t.ok(mostHalfOpen <= SYN_BACKLOG + 1 && mostHalfOpen > SYN_BACKLOG / 2, `${mostHalfOpen} half-open connections at most, that of a cookie being written counted`);
    t.ok(most <= SYN_BACKLOG + answers.length + 2, `${most} records of connections at most`);
    t.ok(grown < 64 << 20, `${(grown / (1 << 20)).toFixed(1)} MiB more memory`);
    t.ok(counters.TcpExtSyncookiesSent >= SYNS - SYN_BACKLOG - 2 * AHEAD, `${counters.TcpExtSyncookiesSent} cookies`);
    t.equal(counters.TcpExtTCPReqQFullDoCookies, counters.TcpExtSyncookiesSent, 'one for each SYN that found no room');
    t.ok(counters.TcpExtSyncookiesRecv > 0, `${counters.TcpExtSyncookiesRecv} connections opened by one`);
    t.equal(counters.TcpExtSyncookiesFailed, 0);
    t.equal(counters.TcpExtFlowTableFull, 0);
    t.equal(counters.TcpExtListenOverflows, 0);
    flood.device.close();
    http.close();
    http.closeAllConnections();
  } finally {
    await shell(`ip netns del ${peer}`);
  }
}));

/** Bytes of this process, the TCP server's heap among them, but for the heap of this thread: that of the client and the flood is not watched. */
function memoryBesideHeap(): number {
  const { rss, heapTotal } = process.memoryUsage();
  return rss - heapTotal;
}

/** Records of the flow table in use, and those of half-open connections. */
function flows(server: TcpServer): { used: number; halfOpen: number } {
  const { memory, sizes } = server.handle;
  const words = new Int32Array(memory);
  const { tcbBase } = new Layout(sizes);
  let used = 0;
  let halfOpen = 0;
  for (let flow = 0; flow < sizes.maxFlows; flow++) {
    const state = words[tcbBase + flow * TCB_WORDS + STATE];
    if (state !== FREE) used++;
    if (state === SYN_RECEIVED) halfOpen++;
  }
  return { used, halfOpen };
}

/** The kernel's end of the network goes to a namespace of its own, so that no answer to a forged address leaves this machine. */
async function peerNamespace(network: Network): Promise<string> {
  const name = `${network.namespace}9999`;
  await shell(`ip netns add ${name} && ip link set ${network.hostInterface} netns ${name}`);
  await shell(`ip -n ${name} address add ${network.hostAddress}/${network.prefix} dev ${network.hostInterface}`);
  await shell(`ip -n ${name} link set lo up && ip -n ${name} link set ${network.hostInterface} up`);
  return name;
}

interface Flood {
  readonly device: Device;
  /** SYNs from random addresses of 198.18.0.0/15 and random ports. */
  send(count: number): void;
}

async function openFlood(network: Network, peer: string): Promise<Flood> {
  const shared = new SharedArrayBuffer(DEVICE_REGION_LENGTH + 65536);
  const memory = deviceMemory(alias(shared), 0, shared.byteLength);
  // A small ring: it lies in this process too, whose memory is watched.
  const device = openDevice(`packet:${network.hostInterface}`, memory, shared, { netns: peer, ringBytes: 1 << 20 });
  const mac = async (namespace: string, name: string): Promise<number[]> => {
    const said = await shell(`ip -n ${namespace} link show ${name}`);
    return (/link\/ether (\S+)/.exec(said)?.[1] ?? '').split(':').map((part) => parseInt(part, 16));
  };
  const frame = new Uint8Array(SYN_LENGTH);
  frame.set([...await mac(network.namespace, network.serverInterface), ...await mac(peer, network.hostInterface), 0x08, 0x00]);
  const target = parseDotted(network.serverAddress);
  let word = 20260101;
  const random = (): number => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return word >>> 0;
  };
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const source = 0xc612_0000 | (random() & 0x1_ffff);
      emitTcp(frame, IP, 1024 + random() % 64_000, 80, random() | 0, 0, SYN, 64_240, 40);
      emitSynOptions(frame, IP + 20, 1460, true, true, random() | 0, 0, 7);
      put16(frame, IP + 16, 0);
      put16(frame, IP + 16, complement(add(pseudoHeader4(source, target, PROTOCOL_TCP, 40), frame, IP, 40)));
      emitIPv4(frame, ETHERNET, 0, 60, 0, 0, 64, PROTOCOL_TCP, source, target);
      let room = device.reserve();
      if (room < 0) {
        device.flush();
        room = device.reserve();
      }
      device.tx.set(frame, room);
      device.commit(frame.length, 0, 0);
    }
    device.flush();
  };
  return { device, send };
}

/** The command line of `npm start`. */
import { parseArgs } from 'node:util';
import { CLIENTS, SERVERS, isClient } from './apps.js';
import type { ClientName, ServerName } from './apps.js';

export const HELP = `npm start -- [options]

Serves examples/http.ts on a network of its own: a namespace joined to this machine by a veth pair.

  --app NAME            what runs over the TCP server, examples/NAME.ts (http):
                          http, https, http2, http2_clear, express, fastify, koa, ws: servers of Node's and of packages
                          files: the files of a folder, echo: what is sent to it, both over MemNet
                          sync_echo: the same by blocking sockets
                          agent, undici: clients, which ask --url over and over
  --url URL             what agent and undici ask (a server of the kernel's at the other end of the network)
  --root DIR            the folder of --app files (.)
  --net offload|kernel  whose TCP serves: the TCP server's (offload) or the kernel's, on the same network
  --workers N           app workers in a piscina pool, all on one port (kernel: processes of node:cluster);
                        0: the main thread is the app (0)
  --port N              port to serve on (8080)
  --thread own|app|auto whether the TCP server has a thread of its own, or the main thread runs it; auto: the latter with one CPU (auto)
  --servers N           TCP servers that share the connections, each a thread of its own; auto: as many as there are CPUs for (1)
  --cpu N               CPU of the TCP server in a thread of its own (its own choice)
  --device IF           an interface of this machine instead of the network, or a device such as tap:tcp0, with
  --address A/B           the address that the TCP server shall have there, which the kernel must not own; or shared:
                          those of the kernel, which keeps all but the TCP ports in use here; or dhcp, slaac: what the
                          network gives; several by commas; and
  --gateway G             the gateway for everybody beyond its network (none)
  --pcap FILE           capture of what the TCP server receives and sends, for Wireshark
  --loss P              loses P of the frames both ways, 0.01 for one in a hundred (0)
  --help                this

Needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN; with --device what that device needs. Without them it
runs in a user namespace of its own, which nobody outside can reach, with a client built in.
`;

/** What runs in a way of its own; the others are in apps.ts. */
const OWN = ['http', 'files', 'echo', 'sync_echo'] as const;
type App = (typeof OWN)[number] | ServerName | ClientName;
const APPS: readonly App[] = [...OWN, ...Object.keys(SERVERS) as ServerName[], ...CLIENTS];

export interface StartOptions {
  readonly net: 'offload' | 'kernel';
  readonly app: App;
  /** Folder that `files` serves. */
  readonly root: string;
  /** What a client asks; null: a server of the kernel's. */
  readonly url: string | null;
  readonly workers: number;
  readonly port: number;
  readonly thread: 'own' | 'app' | 'auto';
  readonly servers: number | 'auto';
  readonly cpu: number | null;
  /** As `TcpServer.start` takes it; null: a network of its own. */
  readonly device: { readonly spec: string; readonly address: readonly string[]; readonly gateway: string | null } | null;
  readonly pcap: string | null;
  readonly loss: number;
  readonly help: boolean;
}

/** Throws an Error whose message is for the person at the command line. */
export function readOptions(args: readonly string[]): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      net: { type: 'string', default: 'offload' },
      app: { type: 'string', default: 'http' },
      root: { type: 'string' },
      url: { type: 'string' },
      workers: { type: 'string', default: '0' },
      port: { type: 'string', default: '8080' },
      thread: { type: 'string' },
      servers: { type: 'string' },
      cpu: { type: 'string' },
      device: { type: 'string' },
      address: { type: 'string' },
      gateway: { type: 'string' },
      pcap: { type: 'string' },
      loss: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  });
  const { net, root, url, device, address, gateway, pcap, help } = values;
  if (net !== 'offload' && net !== 'kernel') throw new Error(`--net wants offload or kernel, not '${net}'`);
  const app = APPS.find((name) => name === values.app);
  if (app === undefined) throw new Error(`--app wants one of ${APPS.join(', ')}, not '${values.app}'`);
  if (app !== 'http' && (net === 'kernel' || values.workers !== '0')) throw new Error(`--app ${app} runs over the TCP server, in the main thread`);
  if (root !== undefined && app !== 'files') throw new Error('--root goes with --app files');
  if (url !== undefined && !isClient(app)) throw new Error(`--url goes with a client: --app ${CLIENTS.join(' or ')}`);
  if (url === undefined && device !== undefined && isClient(app)) throw new Error(`--app ${app} with --device wants a --url to ask`);
  const alone = Object.entries({ device, thread: values.thread, servers: values.servers, cpu: values.cpu, pcap, loss: values.loss === '0' ? undefined : values.loss })
    .find(([, value]) => net === 'kernel' && value !== undefined);
  if (alone !== undefined) throw new Error(`--${alone[0]} concerns the TCP server; --net kernel runs without one`);
  const { thread = 'auto' } = values;
  if (thread !== 'own' && thread !== 'app' && thread !== 'auto') throw new Error(`--thread wants own, app or auto, not '${thread}'`);
  if (device === undefined && address !== undefined) throw new Error('--address goes with --device');
  if (device === undefined && gateway !== undefined) throw new Error('--gateway goes with --device');
  if (device !== undefined && address === undefined) throw new Error('--device wants an --address A/B for the TCP server, or --address shared, dhcp or slaac');
  const loss = Number(values.loss);
  if (!(loss >= 0 && loss < 1)) throw new Error(`--loss wants a share from 0 to below 1, not '${values.loss}'`);
  return {
    net,
    app,
    root: root ?? '.',
    url: url ?? null,
    workers: whole('workers', values.workers, 0, 64),
    port: whole('port', values.port, 1, 65535),
    thread,
    servers: values.servers === 'auto' ? 'auto' : whole('servers', values.servers ?? '1', 1, 16),
    cpu: values.cpu === undefined ? null : whole('cpu', values.cpu, 0, 4095),
    device: device === undefined ? null : { spec: device.includes(':') ? device : `packet:${device}`, address: (address ?? '').split(','), gateway: gateway ?? null },
    pcap: pcap ?? null,
    loss,
    help,
  };
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) throw new Error(`--${name} wants a whole number from ${least} to ${most}, not '${text}'`);
  return value;
}

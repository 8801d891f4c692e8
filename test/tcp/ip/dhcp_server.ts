/** The other end of a DHCP client: what it has sent, in words, and what a server answers. */
import { formatDotted, parseDotted } from '../../../lib/tcp/wire/address.js';
import { get16, get32, put16, put32 } from '../../../lib/tcp/wire/bytes.js';
import { TYPE_IPV4 } from '../../../lib/tcp/wire/ethernet.js';
import { PROTOCOL_UDP } from '../../../lib/tcp/wire/ipv4.js';
import { emitUdp } from '../../../lib/tcp/wire/udp.js';
import { OWN_MAC, PEER_MAC, ethernet, packet } from './network.js';
import type { Sent } from './network.js';

export const SERVER = '198.18.0.2';
export const LEASED = '198.18.0.77';
const BOOTP_AT = 14 + 20 + 8;
const NAMES = ['', 'DISCOVER', 'OFFER', 'REQUEST', 'DECLINE', 'ACK', 'NAK', 'RELEASE'];
export const [OFFER, ACK, NAK] = [2, 5, 6] as const;

/** A message of a client. */
export interface Asked {
  readonly type: string;
  readonly xid: number;
  readonly secs: number;
  readonly ciaddr: string;
  /** Options in hex, by number. */
  readonly options: ReadonlyMap<number, string>;
  /** Addresses of the IP packet, and the last byte of the link address that it went to. */
  readonly from: string;
  readonly to: string;
  readonly at: number;
}

/** The DHCP messages among what was sent. */
export function asked(sent: readonly Sent[]): Asked[] {
  return sent.filter(({ bytes }) => get16(bytes, 12) === TYPE_IPV4 && bytes[23] === PROTOCOL_UDP && get16(bytes, 36) === 67).map(({ bytes }) => {
    const options = new Map<number, string>();
    for (let at = BOOTP_AT + 240; at < bytes.length && bytes[at] !== 255; at += bytes[at] === 0 ? 1 : 2 + bytes[at + 1]!) {
      if (bytes[at] !== 0) options.set(bytes[at]!, Buffer.from(bytes.subarray(at + 2, at + 2 + bytes[at + 1]!)).toString('hex'));
    }
    return {
      type: NAMES[Number.parseInt(options.get(53) ?? '0', 16)]!, xid: get32(bytes, BOOTP_AT + 4), secs: get16(bytes, BOOTP_AT + 8),
      ciaddr: formatDotted(get32(bytes, BOOTP_AT + 12)), options,
      from: formatDotted(get32(bytes, 26)), to: formatDotted(get32(bytes, 30)), at: bytes[5]!,
    };
  });
}

export function types(sent: readonly Sent[]): string[] {
  return asked(sent).map(({ type }) => type);
}

/** An option: its number and its value. */
export type Option = readonly [number, ...number[]];

export function addressOption(kind: number, ...addresses: string[]): Option {
  return [kind, ...addresses.flatMap((address) => address.split('.').map(Number))];
}

export function wordOption(kind: number, value: number): Option {
  return [kind, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

export interface ReplyOptions {
  readonly address?: string;
  readonly server?: string | null;
  /** s; null: none is told. */
  readonly lease?: number | null;
  readonly mask?: string | null;
  readonly more?: readonly Option[];
  readonly xid?: number;
  readonly mac?: Uint8Array;
  readonly cookie?: number;
  /** To all stations, as relays do it. */
  readonly broadcast?: boolean;
  readonly port?: number;
}

/** The message of a server, without the headers below it. */
export function message(type: number, xid: number, options: ReplyOptions = {}): Uint8Array {
  const { address = LEASED, server = SERVER, lease = 3600, mask = '255.255.255.0', more = [], mac = OWN_MAC, cookie = 0x63825363 } = options;
  const all: Option[] = [[53, type]];
  if (server !== null) all.push(addressOption(54, server));
  if (type !== NAK && lease !== null) all.push(wordOption(51, lease));
  if (type !== NAK && mask !== null) all.push(addressOption(1, mask));
  const values = [...all, ...more].flatMap(([kind, ...value]) => [kind, value.length, ...value]);
  const bytes = new Uint8Array(240 + values.length + 1);
  bytes.set([2, 1, 6]);
  put32(bytes, 4, options.xid ?? xid);
  put32(bytes, 16, type === NAK ? 0 : parseDotted(address));
  bytes.set(mac, 28);
  put32(bytes, 236, cookie);
  bytes.set(values, 240);
  bytes[bytes.length - 1] = 255;
  return bytes;
}

/** A frame with the message of a server. */
export function reply(type: number, to: Asked, options: ReplyOptions = {}): Uint8Array {
  return frameOf(message(type, to.xid, options), options);
}

export function frameOf(content: Uint8Array, { address = LEASED, broadcast = false, port = 68 }: ReplyOptions = {}): Uint8Array {
  const udp = new Uint8Array(8 + content.length);
  udp.set(content, 8);
  const target = broadcast ? '255.255.255.255' : address;
  emitUdp(udp, 0, parseDotted(SERVER), 67, parseDotted(target), port, content.length);
  put16(udp, 4, udp.length);
  return ethernet(TYPE_IPV4, packet(PROTOCOL_UDP, udp, SERVER, target), broadcast ? new Uint8Array(6).fill(255) : OWN_MAC, PEER_MAC);
}

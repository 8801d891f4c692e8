/** Settings of `hello`, named as Linux's sysctls are, turned into limits of the stack. */
import { LIMIT_RANGES } from '../lib/tcp/limits.js';
import type { StackLimits } from '../lib/tcp/limits.js';

export interface Settings {
  limits: Partial<StackLimits>;
  /** Send buffer of a socket at first, and the largest, in bytes. */
  sendBufferInitial: number;
  sendBufferMax: number;
  /** Largest receive buffer of a socket, in bytes of memory. */
  receiveMemoryMax: number;
}

/** Linux's defaults, where scripts do not say otherwise: least, default and largest, in bytes. */
const RMEM = [4096, 131_072, 6_291_456];
const WMEM = [4096, 16_384, 4_194_304];
const SYN_RETRIES = 6;
const STEP_LEAST = 2;
/** Linux offers half of the memory as window; the other half is for its own overhead (tcp_adv_win_scale 1). */
export const WINDOW_SHARE = 2;

/** Sysctls that are one number: the limit, and what the number is multiplied by. */
const NUMBERS = new Map<string, [keyof StackLimits, number]>([
  ['tcp_syn_retries', ['synRetries', 1]],
  ['tcp_synack_retries', ['synAckRetries', 1]],
  ['tcp_retries2', ['dataRetries', 1]],
  ['tcp_orphan_retries', ['orphanRetries', 1]],
  ['tcp_max_orphans', ['orphans', 1]],
  ['tcp_max_tw_buckets', ['timeWait', 1]],
  ['tcp_fin_timeout', ['finWait2Ms', 1000]],
  ['tcp_keepalive_time', ['keepIdleMs', 1000]],
  ['tcp_keepalive_intvl', ['keepIntervalMs', 1000]],
  ['tcp_keepalive_probes', ['keepCount', 1]],
  ['tcp_challenge_ack_limit', ['challengeAcks', 1]],
  ['tcp_invalid_ratelimit', ['invalidAckMs', 1]],
  ['tcp_rto_max_ms', ['rtoMaxMs', 1]],
  ['tcp_rto_min_us', ['rtoMinMs', 0.001]],
  ['ip_default_ttl', ['timeToLive', 1]],
  ['tcp_max_syn_backlog', ['synBacklog', 1]],
  ['tcp_min_tso_segs', ['pushSteps', 1]],
]);
const SWITCHES = new Map<string, keyof StackLimits>([
  ['tcp_sack', 'sack'], ['tcp_timestamps', 'timestamps'], ['tcp_window_scaling', 'windowScaling'],
  ['tcp_slow_start_after_idle', 'idleRestart'], ['tcp_shrink_window', 'windowShrinks'], ['tcp_rfc1337', 'resetsPassTimeWait'],
]);

/** tcp_ecn by number; those above 2 are of accurate ECN, and what is left of them without it. */
const ECN = ['off', 'on', 'accept', 'on', 'on', 'accept'];

/** Values of tcp_syncookies and of tcp_mtu_probing, in order. */
const COOKIES = ['never', 'pressure', 'always'];
const PROBING = ['off', 'blackhole', 'always'];

/** Values are texts or numbers; those not known, or that make no sense, are ignored. */
export function settingsOf(given: Record<string, unknown>): Settings {
  const limits: Record<string, number | boolean | string> = {
    synRetries: SYN_RETRIES, timestampsRequired: false, overrun: true, resetsAtOnce: true, pushSteps: STEP_LEAST,
    ackPolicy: given.ack_policy === 'second' ? 'second' : 'linux',
  };
  for (const [name, value] of Object.entries(given)) {
    const numbers = numbersOf(value);
    if (numbers.length === 0) continue;
    const number = NUMBERS.get(name);
    const flag = SWITCHES.get(name);
    if (number !== undefined) limits[number[0]] = bounded(number[0], numbers[0]! * number[1]);
    if (flag !== undefined) limits[flag] = numbers[0] !== 0;
    if (name === 'tcp_ecn' && ECN[numbers[0]!] !== undefined) limits.ecn = ECN[numbers[0]!]!;
    if (name === 'ip_local_port_range' && numbers.length === 2) [limits.ephemeralFirst, limits.ephemeralLast] = numbers as [number, number];
  }
  const cookies = COOKIES[numbersOf(given.tcp_syncookies)[0] ?? -1];
  if (cookies !== undefined) limits.synCookies = cookies;
  const probing = PROBING[numbersOf(given.tcp_mtu_probing)[0] ?? -1];
  limits.mtuProbing = probing ?? 'off';
  // 0 stands for Linux's own choice.
  if (numbersOf(given.tcp_orphan_retries)[0] === 0) delete limits.orphanRetries;
  const rmem = triple(given.tcp_rmem, RMEM);
  limits.receiveBuffer = rmem[2]!;
  limits.receiveBufferInitial = Math.max(Math.floor(rmem[1]! / WINDOW_SHARE), 1);
  const wmem = triple(given.tcp_wmem, WMEM);
  return { limits, sendBufferInitial: wmem[1]!, sendBufferMax: wmem[2]!, receiveMemoryMax: rmem[2]! };
}

/** A limit as near to what is asked for as it may be. */
function bounded(name: keyof StackLimits, value: number): number {
  const range = (LIMIT_RANGES as Partial<Record<keyof StackLimits, readonly [number, number]>>)[name];
  return range === undefined ? value : Math.min(Math.max(Math.round(value), range[0]), range[1]);
}

function triple(value: unknown, otherwise: number[]): number[] {
  const numbers = numbersOf(value);
  return numbers.length === 3 && numbers.every((number) => number > 0) ? numbers : otherwise;
}

function numbersOf(value: unknown): number[] {
  if (typeof value !== 'string' && typeof value !== 'number') return [];
  const numbers = String(value).trim().split(/\s+/).map(Number);
  return numbers.every((number) => Number.isSafeInteger(number) && number >= 0) ? numbers : [];
}

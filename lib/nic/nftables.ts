/**
 * Tables of nftables (linux/netfilter/nf_tables.h) with one chain and a set of TCP ports that changes while it stands.
 *
 * A table belongs to the socket that made it: the kernel removes it when that is closed, as it is when the process ends in whatever way.
 */
import { randomBytes } from 'node:crypto';
import { bytesAttribute as bytes, mustCarryOut, nestedAttribute as nested, NetfilterSocket, NLM_F_CREATE, numberAttribute as number, textAttribute as text } from './netlink.js';
import type { NetfilterRequest } from './netlink.js';

const NFNL_SUBSYS_NFTABLES = 10;
export const NFPROTO_IPV4 = 2;
export const NFPROTO_NETDEV = 5;

// Messages.
const NEWTABLE = 0;
const NEWCHAIN = 3;
const NEWRULE = 6;
const NEWSET = 9;
const NEWSETELEM = 12;
const DELSETELEM = 14;

// Attributes: of every list, of tables, chains, sets, elements, rules, and of an expression with its data.
const LIST_ELEM = 1;
const TABLE_NAME = 1;
const TABLE_FLAGS = 2;
const TABLE_F_OWNER = 2;
const CHAIN_TABLE = 1;
const CHAIN_NAME = 3;
const CHAIN_HOOK = 4;
const CHAIN_TYPE = 7;
const HOOK_HOOKNUM = 1;
const HOOK_PRIORITY = 2;
const HOOK_DEV = 3;
const SET_TABLE = 1;
const SET_NAME = 2;
const SET_FLAGS = 3;
const SET_KEY_TYPE = 4;
const SET_KEY_LEN = 5;
const SET_ID = 10;
const ELEMENTS_TABLE = 1;
const ELEMENTS_SET = 2;
const ELEMENTS_ELEMENTS = 3;
const ELEMENT_KEY = 1;
const RULE_TABLE = 1;
const RULE_CHAIN = 2;
const RULE_EXPRESSIONS = 4;
const EXPRESSION_NAME = 1;
const EXPRESSION_DATA = 2;
const DATA_VALUE = 1;
const DATA_VERDICT = 2;

const NF_DROP = 0;
const VERDICT_REGISTER = 0;
const REGISTER = 1;
const EQUAL = 0;
const NOT_EQUAL = 1;

/** Bases of `payload`: the headers of the network and of the transport. */
export const BASE_NETWORK = 1;
export const BASE_TRANSPORT = 2;
/** What `meta` loads. */
export const META_PROTOCOL = 1;
export const META_MARK = 3;
export const META_L4PROTO = 16;

/** nft's own numbers of the types of keys, and their bytes. */
export const IPV4_ADDRESS: SetType = { type: 7, length: 4 };
export const IPV6_ADDRESS: SetType = { type: 8, length: 16 };
const INET_SERVICE: SetType = { type: 13, length: 2 };

/** The set that every table has. */
export const PORTS = 'ports';

export interface SetType {
  readonly type: number;
  readonly length: number;
}

/** A set that stays as it is. */
export interface FixedSet {
  readonly name: string;
  readonly type: SetType;
  readonly elements: readonly Uint8Array[];
}

export interface TableLayout {
  /** NFPROTO_*. */
  readonly family: number;
  readonly chain: string;
  /** NF_* of the family. */
  readonly hook: number;
  /** Interface of a hook of the family netdev. */
  readonly interface?: string;
  readonly sets?: readonly FixedSet[];
  /** Rules of the chain, the expressions of each. */
  readonly rules: readonly (readonly Uint8Array[])[];
}

/** Before connection tracking and the usual filters. */
const PRIORITY_RAW = -300;

export class PortTable {
  readonly #socket: NetfilterSocket;
  readonly #table = `tcp-offload-${randomBytes(6).toString('hex')}`;

  /** @param detail what it is for and what it needs. @throws SystemError EPERM without CAP_NET_ADMIN, EOPNOTSUPP before Linux 5.12, and the like. */
  constructor({ family, chain, hook, interface: name, sets = [], rules }: TableLayout, detail: string) {
    const table = this.#table;
    this.#socket = new NetfilterSocket(NFNL_SUBSYS_NFTABLES, family);
    const device = name === undefined ? [] : [text(HOOK_DEV, name)];
    const result = this.#socket.batch([
      create(NEWTABLE, text(TABLE_NAME, table), number(TABLE_FLAGS, TABLE_F_OWNER)),
      newSet(table, PORTS, INET_SERVICE, 1),
      ...sets.map((each, i) => newSet(table, each.name, each.type, i + 2)),
      ...sets.map((each) => this.#elements(NEWSETELEM, NLM_F_CREATE, each.name, each.elements)),
      create(
        NEWCHAIN, text(CHAIN_TABLE, table), text(CHAIN_NAME, chain), text(CHAIN_TYPE, 'filter'),
        nested(CHAIN_HOOK, number(HOOK_HOOKNUM, hook), number(HOOK_PRIORITY, PRIORITY_RAW), ...device),
      ),
      ...rules.map((expressions) => create(NEWRULE, text(RULE_TABLE, table), text(RULE_CHAIN, chain), nested(RULE_EXPRESSIONS, ...expressions))),
    ]);
    if (result === 0) return;
    this.#socket.close();
    mustCarryOut(result, detail);
  }

  /** The port is in the set from now on. Returns 0 or -errno. */
  add(port: number): number {
    return this.#socket.batch([this.#elements(NEWSETELEM, NLM_F_CREATE, PORTS, [portBytes(port)])]);
  }

  remove(port: number): number {
    return this.#socket.batch([this.#elements(DELSETELEM, 0, PORTS, [portBytes(port)])]);
  }

  #elements(type: number, flags: number, set: string, keys: readonly Uint8Array[]): NetfilterRequest {
    const elements = keys.map((key) => nested(LIST_ELEM, nested(ELEMENT_KEY, bytes(DATA_VALUE, key))));
    return { type, flags, attributes: [text(ELEMENTS_TABLE, this.#table), text(ELEMENTS_SET, set), nested(ELEMENTS_ELEMENTS, ...elements)] };
  }

  close(): void {
    this.#socket.close();
  }
}

function create(type: number, ...attributes: Uint8Array[]): NetfilterRequest {
  return { type, flags: NLM_F_CREATE, attributes };
}

/** @param id of the set, in this batch alone. */
function newSet(table: string, name: string, { type, length }: SetType, id: number): NetfilterRequest {
  return create(NEWSET, text(SET_TABLE, table), text(SET_NAME, name), number(SET_FLAGS, 0), number(SET_KEY_TYPE, type), number(SET_KEY_LEN, length), number(SET_ID, id));
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

// --- expressions: each an element of a list; one that does not hold ends its rule

/** Loads `length` bytes from `offset` of a header into the register. */
export function payload(base: number, offset: number, length: number): Uint8Array {
  return expression('payload', number(1, REGISTER), number(2, base), number(3, offset), number(4, length));
}

/** Loads what the kernel knows of the packet. @param key META_* */
export function meta(key: number): Uint8Array {
  return expression('meta', number(1, REGISTER), number(2, key));
}

/** Goes on where the register is equal to the value. */
export function equal(value: Uint8Array): Uint8Array {
  return expression('cmp', number(1, REGISTER), number(2, EQUAL), nested(3, bytes(DATA_VALUE, value)));
}

export function notEqual(value: Uint8Array): Uint8Array {
  return expression('cmp', number(1, REGISTER), number(2, NOT_EQUAL), nested(3, bytes(DATA_VALUE, value)));
}

/** Leaves the bits of the mask in the register, which holds one byte. */
export function mask(bits: number): Uint8Array {
  return expression(
    'bitwise', number(1, REGISTER), number(2, REGISTER), number(3, 1),
    nested(4, bytes(DATA_VALUE, Uint8Array.of(bits))), nested(5, bytes(DATA_VALUE, Uint8Array.of(0))),
  );
}

/** Goes on where the register is in a set of the table. */
export function within(set: string): Uint8Array {
  return expression('lookup', text(1, set), number(2, REGISTER));
}

export function drop(): Uint8Array {
  return expression('immediate', number(1, VERDICT_REGISTER), nested(2, nested(DATA_VERDICT, number(1, NF_DROP))));
}

function expression(name: string, ...attributes: Uint8Array[]): Uint8Array {
  return nested(LIST_ELEM, text(EXPRESSION_NAME, name), nested(EXPRESSION_DATA, ...attributes));
}

/**
 * Keeps the kernel's resets from the wire for ports of its address that are another TCP's: a table of nftables in the namespace of the
 * calling thread (linux/netfilter/nf_tables.h). As `nft list ruleset` shows it:
 *
 * ```
 *   table ip tcp-offload-RANDOM {
 *     flags owner
 *     set ports { type inet_service; }
 *     chain output {
 *       type filter hook output priority raw; policy accept;
 *       ip protocol tcp ip saddr ADDRESS tcp sport @ports tcp flags & rst == rst meta mark != MARK drop
 *     }
 *   }
 * ```
 *
 * The table belongs to the socket that made it: the kernel removes it when that is closed, as it is when the process ends in whatever way.
 */
import { randomBytes } from 'node:crypto';
import { bytesAttribute as bytes, mustCarryOut, nestedAttribute as nested, NetfilterSocket, numberAttribute as number, textAttribute as text } from './netlink.js';
import type { NetfilterRequest } from './netlink.js';

const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_IPV4 = 2;
const NLM_F_CREATE = 0x400;

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

const NF_INET_LOCAL_OUT = 3;
const PRIORITY_RAW = -300;
/** nft's own number of the type inet_service. */
const TYPE_INET_SERVICE = 13;
const NF_DROP = 0;
const VERDICT_REGISTER = 0;
const REGISTER = 1;
const BASE_NETWORK = 1;
const BASE_TRANSPORT = 2;
const EQUAL = 0;
const NOT_EQUAL = 1;
const META_MARK = 3;
const PROTOCOL_TCP = 6;
const TCP_RST = 4;

export class ResetFilter {
  readonly #socket = new NetfilterSocket(NFNL_SUBSYS_NFTABLES, NFPROTO_IPV4);
  readonly #table = `tcp-offload-${randomBytes(6).toString('hex')}`;

  /**
   * @param address of IPv4, whose kernel is to be silent. @param mark SO_MARK of the resets that are the other TCP's, which pass.
   * @throws SystemError EPERM without CAP_NET_ADMIN, EOPNOTSUPP before Linux 5.12, and the like.
   */
  constructor(address: Uint8Array, mark: number) {
    const table = this.#table;
    const create = (type: number, ...attributes: Uint8Array[]): NetfilterRequest => ({ type, flags: NLM_F_CREATE, attributes });
    const result = this.#socket.batch([
      create(NEWTABLE, text(TABLE_NAME, table), number(TABLE_FLAGS, TABLE_F_OWNER)),
      create(NEWSET, text(SET_TABLE, table), text(SET_NAME, 'ports'), number(SET_FLAGS, 0), number(SET_KEY_TYPE, TYPE_INET_SERVICE), number(SET_KEY_LEN, 2), number(SET_ID, 1)),
      create(
        NEWCHAIN, text(CHAIN_TABLE, table), text(CHAIN_NAME, 'output'), text(CHAIN_TYPE, 'filter'),
        nested(CHAIN_HOOK, number(HOOK_HOOKNUM, NF_INET_LOCAL_OUT), number(HOOK_PRIORITY, PRIORITY_RAW)),
      ),
      create(NEWRULE, text(RULE_TABLE, table), text(RULE_CHAIN, 'output'), nested(RULE_EXPRESSIONS, ...dropResets(address, mark))),
    ]);
    if (result === 0) return;
    this.#socket.close();
    mustCarryOut(result, `cannot keep the kernel's resets from the wire by a rule of nftables; it needs CAP_NET_ADMIN and Linux 5.12 or later with nf_tables`);
  }

  /** The kernel's resets from `port` are dropped from now on. Returns 0 or -errno. */
  add(port: number): number {
    return this.#change(NEWSETELEM, NLM_F_CREATE, port);
  }

  remove(port: number): number {
    return this.#change(DELSETELEM, 0, port);
  }

  #change(type: number, flags: number, port: number): number {
    const element = nested(LIST_ELEM, nested(ELEMENT_KEY, bytes(DATA_VALUE, Uint8Array.of(port >> 8, port & 0xff))));
    return this.#socket.batch([
      { type, flags, attributes: [text(ELEMENTS_TABLE, this.#table), text(ELEMENTS_SET, 'ports'), nested(ELEMENTS_ELEMENTS, element)] },
    ]);
  }

  close(): void {
    this.#socket.close();
  }
}

/** The expressions of the rule, each an element of a list. A comparison that fails ends the rule. */
function dropResets(address: Uint8Array, mark: number): Uint8Array[] {
  const markBytes = new Uint8Array(Uint32Array.of(mark).buffer); // in the order of this machine
  return [
    payload(BASE_NETWORK, 9, 1), compare(EQUAL, Uint8Array.of(PROTOCOL_TCP)),
    payload(BASE_NETWORK, 12, 4), compare(EQUAL, address),
    payload(BASE_TRANSPORT, 0, 2), expression('lookup', text(1, 'ports'), number(2, REGISTER), number(4, 1)),
    payload(BASE_TRANSPORT, 13, 1),
    expression(
      'bitwise', number(1, REGISTER), number(2, REGISTER), number(3, 1),
      nested(4, bytes(DATA_VALUE, Uint8Array.of(TCP_RST))), nested(5, bytes(DATA_VALUE, Uint8Array.of(0))),
    ),
    compare(EQUAL, Uint8Array.of(TCP_RST)),
    expression('meta', number(1, REGISTER), number(2, META_MARK)), compare(NOT_EQUAL, markBytes),
    expression('immediate', number(1, VERDICT_REGISTER), nested(2, nested(DATA_VERDICT, number(1, NF_DROP)))),
  ];
}

function expression(name: string, ...attributes: Uint8Array[]): Uint8Array {
  return nested(LIST_ELEM, text(EXPRESSION_NAME, name), nested(EXPRESSION_DATA, ...attributes));
}

/** Loads `length` bytes from `offset` of a header into the register. */
function payload(base: number, offset: number, length: number): Uint8Array {
  return expression('payload', number(1, REGISTER), number(2, base), number(3, offset), number(4, length));
}

/** Goes on where the register is equal to the value, or is not. */
function compare(operation: number, value: Uint8Array): Uint8Array {
  return expression('cmp', number(1, REGISTER), number(2, operation), nested(3, bytes(DATA_VALUE, value)));
}

/** Which listeners and connections of this thread the TCP server carries: all, unless rules were set; the kernel carries the rest. */
import { BlockList, isIP } from 'node:net';
import { invalidValue } from './errors.js';

/** Says whether the TCP server carries what listens at, or connects to, this place. */
export type Rule = (address: string, port: number) => boolean;

let listens: Rule | null = null;
let connects: Rule | null = null;

/** Sets the rules of this thread; null: everything. */
export function useRules(listen: Rule | null, connect: Rule | null): void {
  listens = listen;
  connects = connect;
}

/** @param address '::' or '0.0.0.0' for all of them. @param port 0 for one that is chosen. */
export function carriesListen(address: string, port: number): boolean {
  return listens === null || listens(address, port);
}

export function carriesConnect(address: string, port: number): boolean {
  return connects === null || connects(address, port);
}

interface Entry {
  readonly excludes: boolean;
  /** Null: every address. */
  readonly addresses: BlockList | null;
  readonly first: number;
  readonly last: number;
}

const HIGHEST_PORT = 65535;
const MEND = "Write a list such as '*:80,*:8000-8999,10.0.0.0/8,[2001:db8::/32]:443,!127.0.0.1:5432', '*' for everything, or 'none'";

/**
 * Reads a rule: entries, by commas, each `address`, `address/prefix` or `*`, then `:port` or `:first-last`; one of the two may be
 * left out, IPv6 stands in brackets. A place is carried where an entry names it, or where all entries are exclusions, and no
 * exclusion, an entry that begins with `!`, names it. 'none' carries nothing.
 *
 * @param name what holds the text, for the error. @throws TypeError ERR_INVALID_ARG_VALUE.
 */
export function readRule(name: string, text: string): Rule {
  const trimmed = text.trim();
  if (trimmed === 'none') return () => false;
  const entries = trimmed.split(',').map((entry) => readEntry(name, text, entry.trim()));
  const chosen = entries.filter(({ excludes }) => !excludes);
  const excluded = entries.filter(({ excludes }) => excludes);
  return (address, port) =>
    (chosen.length === 0 || chosen.some((entry) => names(entry, address, port))) && !excluded.some((entry) => names(entry, address, port));
}

function readEntry(name: string, text: string, entry: string): Entry {
  const [, not = '', bracketed, plain = '', first, last = first] = /^(!?)(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d+)(?:-(\d+))?)?$/.exec(entry) ?? [];
  const place = bracketed ?? plain;
  if (first === undefined && place === '') throw invalidValue(name, text, `has an entry that names no place, '${entry}'`, MEND);
  const from = first === undefined ? 0 : Number(first);
  const to = last === undefined ? HIGHEST_PORT : Number(last);
  if (from > to || to > HIGHEST_PORT) throw invalidValue(name, text, `has ports that there are not, '${entry}'`, MEND);
  return { excludes: not === '!', addresses: place === '' || place === '*' ? null : readAddresses(name, text, place), first: from, last: to };
}

function readAddresses(name: string, text: string, place: string): BlockList {
  const [address = '', prefix] = place.split('/');
  const family = isIP(address);
  const longest = family === 6 ? 128 : 32;
  const length = prefix === undefined ? longest : Number(prefix);
  if (family === 0 || !Number.isInteger(length) || length < 0 || length > longest || prefix === '') {
    throw invalidValue(name, text, `has an address that there is not, '${place}'`, MEND);
  }
  const list = new BlockList();
  list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4');
  return list;
}

function names({ addresses, first, last }: Entry, address: string, port: number): boolean {
  if (port < first || port > last) return false;
  return addresses === null || addresses.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

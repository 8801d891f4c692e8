/** What the environment says of a TCP server that starts by itself, and of who stands on it. */
import { invalidValue } from './errors.js';
import type { TcpServerOptions } from './options.js';
import { readRule } from './net_rules.js';
import type { Rule } from './net_rules.js';

const PREFIX = 'TCP_OFFLOAD_';

type Reader = (name: string, text: string) => unknown;

const text: Reader = (_name, value) => value;
const list: Reader = (_name, value) => value.split(',').map((entry) => entry.trim());

const number: Reader = (name, value) => {
  if (value.trim() === '' || !Number.isFinite(Number(value))) throw invalidValue(name, value, 'must be a number');
  return Number(value);
};

const numberOr = (...words: (string | null)[]): Reader => (name, value) => {
  const word = words.find((each) => String(each ?? 'none') === value);
  return word === undefined ? number(name, value) : word;
};

/** CPUs: one, several as a list, or a word. */
const cpus: Reader = (name, value) => (value.includes(',') ? value.split(',').map((each) => number(name, each)) : numberOr('auto', null)(name, value));

const json: Reader = (name, value) => {
  try {
    return JSON.parse(value);
  } catch (error) {
    throw invalidValue(name, value, `must be JSON (${(error as Error).message})`);
  }
};

/** The variables that hold one option of `TcpServer.start` each. */
const OPTIONS: Readonly<Record<string, readonly [keyof TcpServerOptions, Reader]>> = {
  TCP_OFFLOAD_DEVICE: ['device', text],
  TCP_OFFLOAD_ADDRESS: ['address', list],
  TCP_OFFLOAD_GATEWAY: ['gateway', list],
  TCP_OFFLOAD_NETNS: ['netns', text],
  TCP_OFFLOAD_SERVERS: ['servers', numberOr('auto')],
  TCP_OFFLOAD_CPU: ['cpu', cpus],
  TCP_OFFLOAD_SPIN: ['spin', numberOr('auto')],
  TCP_OFFLOAD_PCAP: ['pcap', text],
};

/** All options as JSON; those above go before it. */
const EVERYTHING = 'TCP_OFFLOAD_OPTIONS';
const LISTEN = 'TCP_OFFLOAD_LISTEN';
const CONNECT = 'TCP_OFFLOAD_CONNECT';

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of the package that are set and not empty. @throws TypeError ERR_INVALID_ARG_VALUE for one that there is not: it is misspelt. */
function given(env: Environment): Map<string, string> {
  const names = [...Object.keys(OPTIONS), EVERYTHING, LISTEN, CONNECT];
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || value === undefined || value === '') continue;
    if (!names.includes(name)) throw invalidValue(name, value, 'is not a variable of tcp-offload', `There are ${names.join(', ')}`);
    found.set(name, value);
  }
  return found;
}

/**
 * Options of a TCP server that starts by itself, not checked yet.
 *
 * @throws TypeError ERR_INVALID_ARG_VALUE where a variable cannot be read.
 */
export function environmentOptions(env: Environment = process.env): TcpServerOptions {
  const variables = given(env);
  const everything = variables.get(EVERYTHING);
  const options: unknown = everything === undefined ? {} : json(EVERYTHING, everything);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidValue(EVERYTHING, everything, 'must be a JSON object, such as {"maxApps":4}');
  }
  for (const [name, [option, read]] of Object.entries(OPTIONS)) {
    const value = variables.get(name);
    if (value !== undefined) (options as Record<string, unknown>)[option] = read(name, value);
  }
  return options as TcpServerOptions;
}

/** The rules of `tcp-offload/register`; null where there is none. @throws as `environmentOptions`. */
export function environmentRules(env: Environment = process.env): { listen: Rule | null; connect: Rule | null } {
  const variables = given(env);
  const rule = (name: string): Rule | null => {
    const value = variables.get(name);
    return value === undefined ? null : readRule(name, value);
  };
  return { listen: rule(LISTEN), connect: rule(CONNECT) };
}

#!/usr/bin/env node
/** The command `tcp-offload`: what of this machine a TCP server can stand on. */
import { parseArgs } from 'node:util';

const HELP = `tcp-offload doctor [--json]
  Tries each kind of device and says whether it works here, for this user; where it does not, what is missing and how to
  get it. With CAP_SYS_ADMIN (as root) in a network namespace of its own, else on the interfaces that there are, which
  carry nothing for it. Ends with 0 where at least one kind of device works besides 'loopback', else with 1.

tcp-offload devices [--json]
  Lists the network interfaces, and the options of TcpServer.start that each is used by. Ends with 0.

  --json   as JSON, for programs
  --help   this

Ends with 2 where the command line cannot be read.
`;

const COMMANDS = ['doctor', 'devices'] as const;

class UsageError extends Error {}

interface CommandLine {
  readonly command: (typeof COMMANDS)[number];
  readonly json: boolean;
}

/** Null: help is asked for. @throws UsageError. */
function read(args: string[]): CommandLine | null {
  const { values, positionals } = parse(args);
  if (values.help === true) return null;
  const [name, ...more] = positionals;
  const command = COMMANDS.find((each) => each === name);
  if (command === undefined || more.length > 0) throw new UsageError(name === undefined ? 'a command is wanting' : `there is no command '${positionals.join(' ')}'`);
  return { command, json: values.json === true };
}

function parse(args: string[]): { values: { json?: boolean; help?: boolean }; positionals: string[] } {
  try {
    return parseArgs({ args, allowPositionals: true, options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function main(): Promise<number> {
  const line = read(process.argv.slice(2));
  if (line === null) {
    process.stdout.write(HELP);
    return 0;
  }
  // Not before: where native code cannot be loaded, the help can.
  if (line.command === 'devices') {
    const { describeDevices, listDevices } = await import('./devices.js');
    const devices = listDevices();
    process.stdout.write(line.json ? asJson(devices) : describeDevices(devices));
    return 0;
  }
  const { describeDiagnosis, diagnose } = await import('./doctor.js');
  const diagnosis = diagnose();
  process.stdout.write(line.json ? asJson(diagnosis) : describeDiagnosis(diagnosis));
  return diagnosis.devices.some(({ kind, works }) => works && kind !== 'loopback') ? 0 : 1;
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`${(error as Error).message}\n${isUsage ? `\n${HELP}` : ''}`);
  process.exitCode = isUsage ? 2 : 1;
}

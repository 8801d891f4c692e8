/** The load of many connections: as many processes as it takes, each with source addresses of its own (many_load.ts). */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Network } from '../examples/support/network.js';
import type { ManyOrder, ManyReport, ManySetting } from './many_load.js';
import { PORT, Program } from './programs.js';

/** Connections of one process. */
const MOST = 20_000;
/** Connections of one source address. It has 28,000 ephemeral ports, but the kernel looks through those in use for each one that is bound. */
const FROM_ONE_ADDRESS = 2000;
/** Descriptors that a process has besides. */
const OTHER_DESCRIPTORS = 200;

/** Connections that one process may have over kernel TCP on this machine. */
export function kernelMost(): number {
  const limit = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return Math.max(1, Number(limit ?? MOST) - OTHER_DESCRIPTORS);
}

export class ManyLoad {
  private readonly programs: readonly Program[];

  private constructor(programs: readonly Program[]) {
    this.programs = programs;
  }

  /** Opens the connections to the server of the network. @throws Error where one cannot be opened. */
  static async open(network: Network, connections: number, cpus: string): Promise<ManyLoad> {
    const count = Math.ceil(connections / Math.min(MOST, kernelMost()));
    const each = Math.ceil(connections / count / FROM_ONE_ADDRESS);
    const addresses = await network.hostAddresses(count * each);
    const load = new ManyLoad(Array.from({ length: count }, (_, i) => {
      const own = Math.floor((connections * (i + 1)) / count) - Math.floor((connections * i) / count);
      const setting: ManySetting = { host: network.serverAddress, port: PORT, localAddresses: addresses.slice(i * each, (i + 1) * each), connections: own };
      return new Program(['taskset', '-c', cpus, process.execPath, fileURLToPath(new URL('./many_load.js', import.meta.url)), JSON.stringify(setting)]);
    }));
    try {
      await Promise.all(load.programs.map((program) => program.answer()));
    } catch (error) {
      await load.end();
      throw error;
    }
    return load;
  }

  /** Requests over all connections. The rate and the window are those of all processes; latencies are the worst process's. */
  async carryOut(order: ManyOrder): Promise<ManyReport> {
    const count = this.programs.length;
    const line = JSON.stringify({ ...order, rate: order.rate / count, window: Math.ceil(order.window / count) });
    const reports = await Promise.all(this.programs.map((program) => program.ask<ManyReport>(line)));
    const sum = (of: (report: ManyReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
    const worst = (of: (report: ManyReport) => number): number => Math.max(...reports.map(of));
    return {
      requests: sum(({ requests }) => requests),
      within: sum(({ within }) => within),
      late: sum(({ late }) => late),
      failed: sum(({ failed }) => failed),
      p50: worst(({ p50 }) => p50),
      p99: worst(({ p99 }) => p99),
      p999: worst(({ p999 }) => p999),
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.end()));
  }
}

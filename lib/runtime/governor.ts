/**
 * How many CPUs several TCP servers have: as many as their load asks for. Connections stay where they are; it is threads that move, several of them on one
 * CPU while little happens, each on its own when much does. The first TCP server sees to it.
 *
 * The rule is that of TAS (EuroSys '19, 3.4): one CPU more where fewer than 0.2 of those that they have are idle, one fewer where more than 1.25
 * are. The distance between the two keeps it from going to and fro.
 */
import { setAffinity } from '../nic/syscalls.js';
import { CTRL_BUSY, CTRL_CPU, CTRL_CROWDED, CTRL_TID } from './layout.js';

/** Between two looks at the load, µs. */
const INTERVAL_US = 100_000;
const IDLE_LEAST = 0.2;
const IDLE_MOST = 1.25;

/** How many CPUs there should be next. @param load in CPUs that were busy. @param cpus that they have. @param most that they may have. */
export function cpusWanted(load: number, cpus: number, most: number): number {
  const idle = cpus - load;
  if (idle < IDLE_LEAST && cpus < most) return cpus + 1;
  return idle > IDLE_MOST && cpus > 1 ? cpus - 1 : cpus;
}

/** Spreads loads over so many CPUs, the greatest first and each where least is: the place of each. */
export function spread(loads: readonly number[], cpus: number): number[] {
  const sums = new Array<number>(cpus).fill(0);
  const counts = new Array<number>(cpus).fill(0);
  const places = new Array<number>(loads.length).fill(0);
  const order = loads.map((_, server) => server).sort((a, b) => loads[b] - loads[a]);
  for (const server of order) {
    let least = 0;
    for (let cpu = 1; cpu < cpus; cpu++) if (sums[cpu] < sums[least] || (sums[cpu] === sums[least] && counts[cpu] < counts[least])) least = cpu;
    places[server] = least;
    sums[least] += loads[server];
    counts[least]++;
  }
  return places;
}

export class Governor {
  readonly #servers: readonly Int32Array[];
  readonly #cpus: readonly number[];
  readonly #busySeen: number[];
  #cpusInUse = 0;
  #lookedAt = -Infinity;

  /** @param servers the memory of each. @param cpus that they may have, two at least. */
  constructor(servers: readonly Int32Array[], cpus: readonly number[]) {
    this.#servers = servers;
    this.#cpus = cpus;
    this.#busySeen = servers.map(() => 0);
  }

  /** Looks at the load where it is time to, and moves threads where it asks for that. @param now µs. */
  govern(now: number): void {
    const elapsed = now - this.#lookedAt;
    if (elapsed < INTERVAL_US) return;
    this.#lookedAt = now;
    // A TCP server that is still coming up has no thread to be moved yet.
    if (this.#servers.some((words) => words[CTRL_TID] === 0)) return;
    const loads = this.#servers.map((words, server) => this.#busySince(words, server) / elapsed);
    const most = Math.min(this.#cpus.length, this.#servers.length);
    const wanted = this.#cpusInUse === 0 ? 1 : cpusWanted(loads.reduce((sum, load) => sum + load, 0), this.#cpusInUse, most);
    if (wanted !== this.#cpusInUse) this.#move(spread(loads, wanted), wanted);
  }

  #busySince(words: Int32Array, server: number): number {
    const busy = words[CTRL_BUSY];
    const since = (busy - this.#busySeen[server]) | 0;
    this.#busySeen[server] = busy;
    return since;
  }

  #move(places: readonly number[], cpus: number): void {
    this.#cpusInUse = cpus;
    for (const [server, words] of this.#servers.entries()) {
      const cpu = this.#cpus[places[server]];
      const crowded = places.some((place, other) => other !== server && place === places[server]);
      Atomics.store(words, CTRL_CROWDED, crowded ? 1 : 0);
      setAffinity([cpu], words[CTRL_TID]);
      words[CTRL_CPU] = cpu;
    }
  }
}

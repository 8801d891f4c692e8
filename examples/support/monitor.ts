/** The live line: requests a second, and how much of a CPU each thread used. */
import { allowedCpus, cpuTime } from './threads.js';

export interface MonitoredThread {
  readonly name: string;
  readonly pid: number;
  readonly thread: number;
}

export interface Monitor {
  /** A thread to show, instead of the one of the same name. */
  add(thread: MonitoredThread): void;
  /** The threads and their CPUs, a line each. */
  describe(): string;
  /** Prints a sentence without breaking the live line. */
  say(text: string): void;
  stop(): void;
}

/** @param requests how many requests were served until now, all together. */
export function startMonitor(requests: () => number): Monitor {
  const threads = new Map<string, MonitoredThread & { cpu: number }>();
  const terminal = process.stdout.isTTY;
  let lastRequests = requests();
  let lastTime = process.hrtime.bigint();
  const timer = setInterval(() => {
    const now = process.hrtime.bigint();
    const elapsed = Number(now - lastTime);
    lastTime = now;
    const count = requests();
    const rate = Math.round((count - lastRequests) * 1e9 / elapsed);
    lastRequests = count;
    let line = `${rate} requests/s`;
    for (const thread of [...threads.values()].sort(byName)) {
      const cpu = cpuTime(thread.pid, thread.thread);
      line += `  ${thread.name} ${Math.round((cpu - thread.cpu) * 100 / elapsed)} %`;
      thread.cpu = cpu;
    }
    // Into a file or a pipe only what happens; a terminal's line is written over.
    if (terminal) process.stdout.write(`\r\x1b[K${line}`);
    else if (rate > 0) process.stdout.write(`${line}\n`);
  }, 1000);
  return {
    add: (thread) => { threads.set(thread.name, { ...thread, cpu: cpuTime(thread.pid, thread.thread) }); },
    describe: () => [...threads.values()].sort(byName)
      .map(({ name, pid, thread }) => `  ${name.padEnd(16)} thread ${thread}, CPU ${allowedCpus(pid, thread)}\n`).join(''),
    say: (text) => { process.stdout.write(terminal ? `\r\x1b[K${text}\n` : `${text}\n`); },
    stop: () => clearInterval(timer),
  };
}

function byName(a: MonitoredThread, b: MonitoredThread): number {
  return a.name.localeCompare(b.name, 'en', { numeric: true });
}

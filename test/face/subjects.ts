/** The modules that the tests of the faces run side by side, and how what happens in them is written down. */
import * as kernel from 'node:net';
import { usePort } from '../../lib/attachment.js';
import * as face from '../../lib/net.js';
import type { Server, Socket } from '../../lib/net.js';
import { TcpServer } from '../../lib/server.js';
import { FakePort } from './fake_port.js';

export type Net = typeof face;

export interface Subject {
  readonly name: string;
  readonly net: Net;
  open(): Promise<void>;
  close(): Promise<void>;
}

let fake: FakePort | null = null;
let awake: NodeJS.Timeout | undefined;
let server: TcpServer | null = null;

/** `node:net` itself: what the others are measured by. */
export const node: Subject = {
  name: 'node:net',
  net: kernel as unknown as Net,
  open: async () => {},
  close: async () => {},
};

/** The face over flows in memory. */
export const memory: Subject = {
  name: 'flows in memory',
  net: face,
  open: async () => {
    fake = new FakePort();
    awake = setInterval(() => {}, 1000);
    usePort(fake);
  },
  close: async () => {
    usePort(null);
    clearInterval(awake);
    fake = null;
  },
};

/** The face over a TCP server with the loopback device. */
export const loopback: Subject = {
  name: 'TCP server, loopback device',
  net: face,
  open: async () => {
    server = await TcpServer.start();
  },
  close: async () => {
    await server?.close();
    server = null;
  },
};

const RECORDED = [
  'connectionAttempt', 'connectionAttemptFailed', 'connect', 'ready', 'data', 'end', 'finish', 'close', 'error', 'drain', 'timeout', 'drop', 'listening',
];

/** What one socket or server emitted, in order; runs of 'data' are one. */
export class Trace {
  readonly events: string[] = [];
  bytes = 0;

  constructor(emitter: Socket | Server) {
    const emit = emitter.emit.bind(emitter);
    emitter.emit = (event: string, ...args: unknown[]): boolean => {
      this.note(event, args);
      return emit(event as 'data', ...args as []);
    };
  }

  private note(event: string, args: unknown[]): void {
    if (!RECORDED.includes(event)) return;
    let text = event;
    if (event === 'close' && args.length > 0) text += ` ${String(args[0])}`;
    if (event === 'error') text += ` ${describe(args[0] as Error)}`;
    if (event === 'data') {
      this.bytes += (args[0] as Buffer | string).length;
      if (this.events[this.events.length - 1] === 'data') return;
    }
    this.events.push(text);
  }

  say(text: string): void {
    this.events.push(text);
  }
}

/** An error with all that code looks at; ports that the system chose are left out. */
export function describe(error: Error): string {
  const { code, syscall, errno } = error as Error & { code?: string; syscall?: string; errno?: number };
  return [code, syscall, errno, error.message].filter((part) => part !== undefined).join(' | ').replace(/:\d{4,5}\b/g, ':PORT');
}

/** A promise for the next `event`. */
export function next(emitter: Socket | Server, event: string): Promise<void> {
  return new Promise((resolve) => void emitter.once(event, () => resolve()));
}

export function portOf(server: Server): number {
  return server.address()?.port ?? 0;
}

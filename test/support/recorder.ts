/** Flows and listeners of an app that writes down what happens to them. */
import type { AppFlow, FlowHandler, ListenHandler } from '../../lib/runtime/app_api.js';
import type { AppPort } from '../../lib/runtime/app_port.js';
import type { Turns } from './turns.js';

/** Collects what a flow tells, and reads everything unless told not to. */
export class Recorder implements FlowHandler {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  flow: AppFlow | null = null;
  reading = true;
  onConnect(): void { this.events.push('connect'); }
  onReadable(): void {
    if (this.reading) this.readAll();
  }
  onWritable(): void { this.events.push('writable'); }
  onDrained(): void { this.events.push('drained'); }
  onError(errno: number): void { this.events.push(`error ${errno}`); }
  onClose(): void { this.events.push('close'); }
  readAll(): void {
    for (let chunk = this.flow?.read(); chunk; chunk = this.flow?.read()) this.chunks.push(chunk);
    if (this.flow?.ended === true && !this.events.includes('end')) this.events.push('end');
  }
  get length(): number { return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0); }
}

export class Accepting implements ListenHandler {
  readonly events: string[] = [];
  readonly accepted: Recorder[] = [];
  port = 0;
  onListening(address: string, port: number): void {
    this.port = port;
    this.events.push(`listening ${address}`);
  }
  onConnection(flow: AppFlow): void {
    const recorder = new Recorder();
    recorder.flow = flow;
    flow.handler = recorder;
    this.accepted.push(recorder);
  }
  onError(errno: number): void { this.events.push(`error ${errno}`); }
  onClose(): void { this.events.push('close'); }
}

export function connect(port: AppPort, to: number): Recorder {
  const recorder = new Recorder();
  recorder.flow = port.connect({ host: '127.0.0.1', port: to }, recorder);
  return recorder;
}

/** A connection between two app threads: the end that opened it, the one that accepted it, and the listener. */
export async function pair(turns: Turns, server: AppPort, client: AppPort): Promise<[Recorder, Recorder, Accepting]> {
  const accepting = new Accepting();
  server.listen({ host: null, port: 0, backlog: 511 }, accepting);
  await turns.until(() => accepting.port > 0);
  const near = connect(client, accepting.port);
  await turns.until(() => near.events.includes('connect') && accepting.accepted.length === 1);
  return [near, accepting.accepted[0]!, accepting];
}

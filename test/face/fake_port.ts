/** A TCP server in a few lines of memory: flows joined in pairs, so that the faces can be tested alone. */
import type { AppFlow, AppListener, ConnectOptions, FlowHandler, ListenHandler, ListenOptions } from '../../lib/runtime/app_api.js';
import type { Port } from '../../lib/attachment.js';
import { EADDRINUSE, ECONNREFUSED, ECONNRESET } from '../../lib/tcp/errno.js';

const IGNORE: FlowHandler = { onConnect() {}, onReadable() {}, onWritable() {}, onDrained() {}, onError() {}, onClose() {} };

/** Everything is delivered in a later turn of the event loop, as from another thread. */
export class FakePort implements Port {
  alive = true;
  get isOpen(): boolean { return this.alive; }
  refs = 0;
  /** Bytes that may be written and not read. */
  sendBuffer = 65536;
  private readonly listeners = new Map<number, FakeListener>();
  private nextPort = 40000;
  readonly flows = new Set<FakeFlow>();

  listen(options: ListenOptions, handler: ListenHandler): AppListener {
    const port = options.port === 0 ? this.nextPort++ : options.port;
    const listener = new FakeListener(this, port, handler);
    setImmediate(() => {
      if (this.listeners.has(port)) {
        handler.onError(EADDRINUSE);
        handler.onClose();
        return;
      }
      this.listeners.set(port, listener);
      handler.onListening(options.host ?? '::', port);
    });
    return listener;
  }

  connect(options: ConnectOptions, handler: FlowHandler): AppFlow {
    const local = options.localPort ?? this.nextPort++;
    const here = new FakeFlow(this, options.localAddress ?? '127.0.0.1', local, options.host, options.port);
    here.handler = handler;
    setImmediate(() => {
      const listener = this.listeners.get(options.port);
      if (here.over) return;
      if (listener === undefined) {
        here.fail(ECONNREFUSED);
        return;
      }
      const there = new FakeFlow(this, options.host, options.port, here.localAddress, local);
      here.peer = there;
      there.peer = here;
      handler.onConnect();
      setImmediate(() => listener.handler.onConnection(there));
    });
    return here;
  }

  gather(): void {}

  unlisten(listener: FakeListener): void {
    if (this.listeners.get(listener.number) === listener) this.listeners.delete(listener.number);
  }

  /** Ends as a TCP server that dies does. */
  die(): void {
    this.alive = false;
    for (const flow of this.flows) flow.fail(ECONNRESET);
    for (const listener of this.listeners.values()) listener.handler.onClose();
    this.listeners.clear();
  }

  ref(): void {
    this.refs++;
  }

  unref(): void {
    this.refs--;
  }
}

class FakeListener implements AppListener {
  private readonly owner: FakePort;
  readonly number: number;
  readonly handler: ListenHandler;

  constructor(owner: FakePort, port: number, handler: ListenHandler) {
    this.owner = owner;
    this.number = port;
    this.handler = handler;
  }

  port(): number {
    return this.number;
  }

  close(): void {
    this.owner.unlisten(this);
    setImmediate(() => this.handler.onClose());
  }
}

export class FakeFlow implements AppFlow {
  handler: FlowHandler = IGNORE;
  readonly family = 'IPv4';
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  peer: FakeFlow | null = null;
  unacknowledged = 0;
  /** Let go of, or dead: no more callbacks. */
  over = false;
  readonly calls: string[] = [];
  private readonly owner: FakePort;
  private readonly arrived: Buffer[] = [];
  private finArrived = false;
  private finSent = false;
  private waiting = false;

  constructor(owner: FakePort, localAddress: string, localPort: number, remoteAddress: string, remotePort: number) {
    this.owner = owner;
    this.localAddress = localAddress;
    this.localPort = localPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    owner.flows.add(this);
  }

  get readableLength(): number {
    return this.arrived.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  get ended(): boolean {
    return this.finArrived && this.arrived.length === 0;
  }

  read(max = Infinity): Buffer | null {
    const first = this.arrived.shift();
    if (first === undefined) return null;
    const bytes = first.subarray(0, max);
    if (bytes.length < first.length) this.arrived.unshift(first.subarray(max));
    const { peer } = this;
    if (peer !== null) setImmediate(() => peer.acknowledge(bytes.length));
    return bytes;
  }

  readInto(target: Uint8Array, offset: number, length: number): number {
    const bytes = this.read(length);
    if (bytes === null) return 0;
    target.set(bytes, offset);
    return bytes.length;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    if (this.over || this.finSent) return 0;
    const taken = Math.min(length, this.owner.sendBuffer - this.unacknowledged);
    this.waiting = taken < length;
    if (taken === 0) return 0;
    this.unacknowledged += taken;
    const copy = Buffer.from(bytes.subarray(offset, offset + taken));
    setImmediate(() => this.peer?.deliver(copy));
    return taken;
  }

  writeText(text: string, encoding: BufferEncoding): number {
    const bytes = Buffer.from(text, encoding);
    if (bytes.length > this.owner.sendBuffer - this.unacknowledged) return -1;
    return this.write(bytes, 0, bytes.length) || -1;
  }

  end(): void {
    this.calls.push('end');
    this.finish();
  }

  reset(): void {
    this.calls.push('reset');
    this.letGo();
    setImmediate(() => this.peer?.fail(ECONNRESET));
  }

  close(): void {
    this.calls.push('close');
    if (this.readableLength > 0) {
      this.reset();
      return;
    }
    this.finish();
    this.letGo();
  }

  info(): null {
    return null;
  }

  setNoDelay(on: boolean): void {
    this.calls.push(`noDelay ${on}`);
  }

  setKeepAlive(on: boolean, idleMs: number, intervalMs: number, count: number): void {
    this.calls.push(intervalMs + count === 0 ? `keepAlive ${on} ${idleMs}` : `keepAlive ${on} ${idleMs} ${intervalMs} ${count}`);
  }

  setUserTimeout(ms: number): void {
    this.calls.push(`userTimeout ${ms}`);
  }

  setFinWait(ms: number): void {
    this.calls.push(`finWait ${ms}`);
  }

  setTrafficClass(octet: number): void {
    this.calls.push(`trafficClass ${octet}`);
  }

  setCork(on: boolean): void {
    this.calls.push(`cork ${on}`);
  }

  fail(errno: number): void {
    if (this.over) return;
    const { handler } = this;
    this.over = true;
    this.owner.flows.delete(this);
    handler.onError(errno);
    handler.onClose();
  }

  private finish(): void {
    if (this.finSent || this.over) return;
    this.finSent = true;
    setImmediate(() => this.peer?.deliverFin());
  }

  private letGo(): void {
    this.over = true;
    this.handler = IGNORE;
    this.owner.flows.delete(this);
  }

  private deliver(bytes: Buffer): void {
    if (this.over) {
      // Data for nobody: RFC 9293 3.10.7.1.
      this.peer?.fail(ECONNRESET);
      return;
    }
    this.arrived.push(bytes);
    this.handler.onReadable();
  }

  private deliverFin(): void {
    this.finArrived = true;
    this.handler.onReadable();
  }

  private acknowledge(bytes: number): void {
    this.unacknowledged -= bytes;
    if (this.over) return;
    if (this.waiting) {
      this.waiting = false;
      this.handler.onWritable();
    }
    if (this.unacknowledged === 0) this.handler.onDrained();
  }
}

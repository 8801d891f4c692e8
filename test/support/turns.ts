/** A TCP server on the loopback device whose turns a test makes itself, in the thread of the app. */
import { LoopbackDevice } from '../../lib/nic/loopback.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { AppPort } from '../../lib/runtime/app_port.js';
import type { ServerHandle } from '../../lib/runtime/config.js';
import { CTRL_STATE, CTRL_VERSION, Layout, LAYOUT_VERSION, STATE_RUNNING } from '../../lib/runtime/layout.js';
import type { LayoutSizes } from '../../lib/runtime/layout.js';
import { ServerApps } from '../../lib/runtime/server_apps.js';
import { ServerPayload } from '../../lib/runtime/server_payload.js';
import { Clock } from '../../lib/tcp/clock.js';
import { WHOLE } from '../../lib/tcp/share.js';
import { Stack } from '../../lib/tcp/stack.js';
import { randomOf } from './random.js';

const SIZES: LayoutSizes = { maxApps: 4, maxFlows: 256, receiveBlocks: 256, sendBlocks: 128 };

export class Turns {
  readonly layout: Layout;
  readonly handle: ServerHandle;
  readonly words: Int32Array;
  readonly stack: Stack;
  readonly apps: ServerApps;
  readonly payload: ServerPayload;
  readonly ports: AppPort[] = [];
  readonly clock = new Clock(1_000_000);

  /** @param first of several TCP servers, of which this one is another; its part of the connections is `share`. */
  constructor(sizes: Partial<LayoutSizes> = {}, sendBuffer = 256 * 1024, share = WHOLE, first: Turns | null = null) {
    this.layout = new Layout({ ...SIZES, ...sizes });
    const memory = new SharedArrayBuffer(this.layout.byteLength);
    this.words = new Int32Array(memory);
    this.words[CTRL_VERSION] = LAYOUT_VERSION;
    this.words[CTRL_STATE] = STATE_RUNNING;
    this.handle = { memory, others: [], key: 1, sizes: this.layout.sizes, sendBuffer };
    const plain = alias(memory);
    this.payload = new ServerPayload(this.layout, this.words, plain.bytes);
    const device = new LoopbackDevice(deviceMemory(plain, this.layout.deviceBase, this.layout.byteLength - this.layout.deviceBase));
    this.stack = new Stack({
      words: this.words,
      tcbBase: this.layout.tcbBase,
      maxFlows: this.layout.sizes.maxFlows,
      payload: this.payload,
      interfaces: [{ device, memory: plain.bytes, addresses: ['127.0.0.1/8'] }],
      random: randomOf(1),
      secret: new Uint8Array(16).fill(7),
      clock: this.clock,
      share,
    });
    this.apps = new ServerApps(this.layout, this.words, this.stack, this.payload, first?.words);
  }

  attach(): AppPort {
    const port = new AppPort(this.handle);
    this.ports.push(port);
    return port;
  }

  /** One turn of the TCP server, `us` after the last one. */
  turn(us = 10): void {
    this.clock.now += us;
    this.stack.receive(256);
    this.apps.takeSubmissions();
    this.stack.advance();
    this.apps.takeArrivals();
    this.stack.transmit();
    this.apps.takeChanges();
    this.apps.publish();
  }

  /** Turns of the TCP server and of the event loop until `done`, at most `most`. Returns whether it was. */
  async until(done: () => boolean, most = 5000): Promise<boolean> {
    for (let i = 0; i < most; i++) {
      this.turn();
      await new Promise(setImmediate);
      if (done()) return true;
    }
    return false;
  }

  /** `us` pass in steps of a millisecond. */
  pass(us: number): void {
    for (let left = us; left > 0; left -= 1000) this.turn(1000);
  }

  end(): void {
    for (const port of this.ports) port.detach();
    this.turn();
  }
}

/**
 * A listener of an app thread, at all of its TCP servers.
 *
 * The first of them decides: it is asked first, and told last that the listener is closed. So whatever it grants nobody has at the others either, and a
 * port that it chooses is the port of all.
 */
import type { AppListener, ListenHandler, ListenOptions } from './app_api.js';
import type { AppChannel } from './app_channel.js';
import type { ChannelFlow } from './app_flow.js';
import { DISTRIBUTIONS, LISTEN_DISTRIBUTION_SHIFT, LISTEN_IPV6_ONLY, SUBMIT_LISTEN, SUBMIT_UNLISTEN } from './messages.js';

const NO_ADDRESS = new Int32Array(4);

export class ThreadListener {
  readonly #channels: readonly AppChannel[];
  readonly #request: number;
  readonly #handler: ListenHandler<ChannelFlow>;
  readonly #host: string;
  readonly #address: Int32Array;
  readonly #options: ListenOptions;
  #state: 'opening' | 'open' | 'closing' = 'opening';
  #port = 0;
  /** TCP servers that it is open at, and those that have been asked last and have not answered yet. */
  readonly #openAt: AppChannel[] = [];
  #unanswered = 0;
  /** Why it cannot be, errno; 0: nothing is against it. */
  #refusal = 0;
  /** The app has closed it, maybe while it was being opened. */
  #closed = false;
  /** Connections that came before all TCP servers had answered. */
  #early: ChannelFlow[] = [];

  /** @param request by which the TCP servers name it. @param address that of the options, four words. */
  constructor(channels: readonly AppChannel[], request: number, handler: ListenHandler<ChannelFlow>, address: Int32Array, options: ListenOptions) {
    this.#channels = channels;
    this.#request = request;
    this.#handler = handler;
    this.#host = options.host ?? '::';
    this.#address = address;
    this.#options = options;
  }

  /** Not all of them have answered yet. */
  get isOpening(): boolean {
    return this.#state === 'opening';
  }

  open(): void {
    this.#ask(this.#channels[0], this.#options.port);
  }

  #ask(channel: AppChannel, port: number): void {
    const { ipv6Only, distribution = 'least-connections', backlog } = this.#options;
    const flags = (ipv6Only === true ? LISTEN_IPV6_ONLY : 0) | DISTRIBUTIONS.indexOf(distribution) << LISTEN_DISTRIBUTION_SHIFT;
    this.#unanswered++;
    channel.submit(SUBMIT_LISTEN | flags, this.#request, this.#address, port, Math.ceil(backlog / this.#channels.length));
  }

  close(): void {
    if (this.#closed || this.#state === 'closing') return;
    this.#closed = true;
    // With one TCP server there is nobody to wait for: it answers both, in order.
    if (this.#channels.length === 1) this.#unlisten(this.#channels[0]);
    else if (this.#state === 'open') this.#closeOthers();
  }

  /** A TCP server's answer. Returns true where it is the last word about the listener, and `over` is to follow. @param result port or -errno. */
  answered(channel: AppChannel, result: number): boolean {
    this.#unanswered--;
    if (this.#state === 'opening') {
      if (result >= 0) this.#openAt.push(channel);
      else this.#refusal = -result;
      return this.#opening(result);
    }
    const last = this.#openAt.length <= 1;
    this.#openAt.splice(this.#openAt.indexOf(channel), 1);
    if (this.#openAt.length === 1 && this.#state === 'closing') this.#unlisten(this.#openAt[0]);
    return last;
  }

  #opening(result: number): boolean {
    const [, ...others] = this.#channels;
    if (this.#port === 0 && result >= 0) {
      this.#port = result;
      for (const other of others) this.#ask(other, result);
    }
    if (this.#openAt.length === 0) return true;
    if (others.length > 0 && this.#unanswered > 0) return false;
    if (this.#refusal !== 0) {
      this.#closeOthers();
      return false;
    }
    this.#state = 'open';
    this.#handler.onListening(this.#host, this.#port);
    for (const flow of this.#early.splice(0)) this.#handler.onConnection(flow);
    if (this.#closed && others.length > 0) this.#closeOthers();
    return false;
  }

  /** The first one last. */
  #closeOthers(): void {
    this.#state = 'closing';
    const [first, ...others] = this.#openAt;
    for (const other of others) this.#unlisten(other);
    if (others.length === 0) this.#unlisten(first);
  }

  #unlisten(channel: AppChannel): void {
    this.#unanswered++;
    channel.submit(SUBMIT_UNLISTEN, this.#request, NO_ADDRESS, 0, 0);
  }

  /** It is no more. */
  over(): void {
    for (const flow of this.#early.splice(0)) flow.reset();
    try {
      if (this.#refusal !== 0) this.#handler.onError(this.#refusal);
    } finally {
      this.#handler.onClose();
    }
  }

  /** A new connection. */
  accepted(flow: ChannelFlow): void {
    flow.asIPv6 = this.#host.includes(':');
    if (this.#options.untilTaken !== true) flow.take(false);
    if (this.#state === 'opening') this.#early.push(flow);
    else this.#handler.onConnection(flow);
  }

  /** The TCP server is no more. */
  fail(): void {
    this.#handler.onClose();
  }
}

/** A listener that never was. */
export const NO_LISTENER: AppListener = { port: () => 0, close: () => {} };

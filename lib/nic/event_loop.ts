/**
 * Descriptors that wake the event loop of the main thread. Node has no call for that; libuv has, which Node carries and whose functions it
 * exports to native code (`uv_poll_t`, the same in every libuv 1.x).
 *
 * No JavaScript runs in the callback, which is a function of libuv's that only looks at the handle: that the loop went round is
 * all that is wanted, and whoever watches finds out in an immediate, which is due in each round.
 */
import { isMainThread } from 'node:worker_threads';
import { bindCall, clearSocketError, symbolAddress } from './syscalls.js';

const UV_POLL = 8;
const UV_READABLE = 1;

/** libuv's functions; null where this Node does not export them. */
function bindLibuv() {
  const nothing = symbolAddress('uv_is_active');
  if (nothing === null) return null;
  return {
    nothing,
    defaultLoop: bindCall('uv_default_loop', 'intptr_t', []),
    handleSize: bindCall('uv_handle_size', 'size_t', ['int']),
    pollInit: bindCall('uv_poll_init', 'int', ['intptr_t', 'void *', 'int']),
    pollStart: bindCall('uv_poll_start', 'int', ['void *', 'int', 'intptr_t']),
    isActive: bindCall('uv_is_active', 'int', ['void *']),
    unref: bindCall('uv_unref', 'void', ['void *']),
    close: bindCall('uv_close', 'void', ['void *', 'void *']),
  };
}

const libuv = isMainThread ? bindLibuv() : null;

/** True where this thread's event loop can watch descriptors. */
export const canWatchDescriptors = libuv !== null;

/** Handles that the loop knows. It sees no references, so they are kept here until it has let go of them. */
const handles = new Set<Uint8Array>();

/** Has the event loop go round for as long as a descriptor is readable. It does not keep the process alive. */
export class DescriptorWatch {
  readonly #libuv: NonNullable<typeof libuv>;
  readonly #handle: Uint8Array;
  readonly #fd: number;

  /** @param fd stays open until after `close`. @throws Error where this thread's loop cannot watch it. */
  constructor(fd: number) {
    if (libuv === null) throw new Error('the event loop of this thread cannot watch descriptors');
    this.#libuv = libuv;
    this.#handle = new Uint8Array(libuv.handleSize(UV_POLL));
    const result = libuv.pollInit(libuv.defaultLoop(), this.#handle, fd);
    if (result < 0) throw new Error(`libuv cannot watch descriptor ${fd}: error ${-result}`);
    this.#fd = fd;
    handles.add(this.#handle);
    this.#start();
    libuv.unref(this.#handle);
  }

  #start(): void {
    this.#libuv.pollStart(this.#handle, UV_READABLE, this.#libuv.nothing);
  }

  /** Goes on after an error of the descriptor, such as an interface that went down: libuv leaves off there. To be called now and then. */
  keepOn(): void {
    if (this.#libuv.isActive(this.#handle) !== 0) return;
    // An error that stays would end it again at once; reading it clears it.
    clearSocketError(this.#fd);
    this.#start();
  }

  close(): void {
    this.#libuv.close(this.#handle, null);
    // The loop lets go of the handle at the end of this round, or of the next one.
    setImmediate(() => setImmediate(() => handles.delete(this.#handle)).unref()).unref();
  }
}

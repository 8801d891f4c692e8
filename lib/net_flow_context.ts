/** The asynchronous context of a connection that an app has asked for (`AsyncLocalStorage` and the like). */
import { AsyncResource } from 'node:async_hooks';
import type { FlowHandler } from './runtime/app_api.js';

/** Has a flow's handler called in the asynchronous context in which its connection was asked for, as in Node. */
export class InContext implements FlowHandler {
  private readonly handler: FlowHandler;
  private readonly context = new AsyncResource('TCP_SERVER_SOCKET', { requireManualDestroy: true });

  constructor(handler: FlowHandler) {
    this.handler = handler;
  }

  onConnect(): void { this.context.runInAsyncScope(this.handler.onConnect, this.handler); }
  onReadable(): void { this.context.runInAsyncScope(this.handler.onReadable, this.handler); }
  onWritable(): void { this.context.runInAsyncScope(this.handler.onWritable, this.handler); }
  onDrained(): void { this.context.runInAsyncScope(this.handler.onDrained, this.handler); }
  onError(errno: number): void { this.context.runInAsyncScope(this.handler.onError, this.handler, errno); }
  onClose(): void { this.context.runInAsyncScope(this.handler.onClose, this.handler); }
}

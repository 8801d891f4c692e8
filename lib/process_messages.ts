/**
 * `subprocess.send` and `process.send` with a server or a socket: Node hands over the kernel's handle, and one on the TCP server has none, nor
 * can memory that the threads of this process share go to another. So it is refused where it is asked for; unrefused, Node would end the
 * process at the server, and send the message without the socket.
 */
import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { handleRefused } from './errors.js';
import { Listener } from './net_listener.js';
import { SocketStream } from './net_socket_stream.js';

type Send = (this: unknown, message: unknown, handle?: unknown, ...more: unknown[]) => boolean;
type Sender = Partial<Record<'send', Send>>;

/** Told by Node of each new process, before it has its channel. */
subscribe('child_process', (message) => {
  const { process: child } = message as { process: ChildProcess & { spawn(options: unknown): unknown } };
  const { spawn } = child;
  child.spawn = function (options) {
    child.spawn = spawn;
    const result = spawn.call(child, options);
    refuseHandles(child as Sender);
    return result;
  };
});

// Where this is a child itself.
refuseHandles(process as Sender);

function refuseHandles(sender: Sender): void {
  const { send } = sender;
  if (send === undefined) return;
  sender.send = function (message, handle, ...more) {
    checkHandle(handle);
    return send.call(this, message, handle, ...more);
  };
}

function checkHandle(handle: unknown): void {
  if (typeof handle !== 'object' || handle === null) return;
  if (handle instanceof SocketStream && handle._isOnTcpServer) throw handleRefused('socket');
  if ((handle as { _handle?: unknown })._handle instanceof Listener) throw handleRefused('server');
}

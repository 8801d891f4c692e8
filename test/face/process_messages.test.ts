/** Servers and sockets in messages to another process: one on the TCP server is refused, one of the kernel's goes over. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import * as kernel from 'node:net';
import t from 'tap';
import { TcpServer, listen, net } from '../../lib/index.js';
import { socketPath } from '../support/socket_path.js';
import { INDEX } from './program.js';

/** A process that is told messages and executes `program`. */
function child(program: string): ReturnType<typeof spawn> {
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], timeout: 30_000 });
}

const ANSWERS = "process.on('message', (message, handle) => { process.send({ message, handle: handle?.constructor.name }); handle?.close?.(); });";

t.test('what is sent to a child', { timeout: 60_000 }, async (t) => {
  const tcp = await TcpServer.start({ device: 'loopback' });
  t.teardown(() => tcp.close());
  const worker = child(ANSWERS);
  const server = listen(createServer(), { port: 0 });
  const accepts = net.createServer().listen(0);
  await Promise.all([once(server, 'listening'), once(accepts, 'listening')]);
  const socket = net.connect(accepts.address()!.port);
  const [accepted] = await once(accepts, 'connection') as [net.Socket];
  const refused = { name: 'TypeError', code: 'ERR_INVALID_HANDLE_TYPE' };
  for (const each of [server, accepts]) t.throws(() => worker.send('a server', each as never), { ...refused, message: /the server is on the TCP server.*tcp-offload\/pool/ });
  for (const each of [socket, accepted]) t.throws(() => worker.send('a socket', each as never), { ...refused, message: /the socket is on the TCP server/ });
  t.equal(accepted.destroyed || socket.destroyed, false, 'they are as good as before');

  const answered = async (...sent: [message: string, handle?: unknown]): Promise<unknown> => {
    worker.send(...sent as [string]);
    return (await once(worker, 'message') as [unknown])[0];
  };
  const onKernel = kernel.createServer().listen(0, '127.0.0.1');
  const onPath = net.createServer().listen(socketPath(t));
  await Promise.all([once(onKernel, 'listening'), once(onPath, 'listening')]);
  t.strictSame(await answered('alone'), { message: 'alone' });
  t.strictSame(await answered('of the kernel', onKernel), { message: 'of the kernel', handle: 'Server' });
  t.strictSame(await answered('at a path', onPath), { message: 'at a path', handle: 'Server' });
  for (const each of [server, accepts, onKernel, onPath]) each.close();
  socket.destroy();
  worker.disconnect();
  t.strictSame(await once(worker, 'exit'), [0, null]);
});

t.test('what a child sends', { timeout: 60_000 }, async (t) => {
  const worker = child(`
    const { net } = await import('${INDEX.href}');
    const server = net.createServer().listen(0, () => {
      try { process.send('a server', server); } catch ({ code }) { process.send(code); }
      server.close();
      process.disconnect();
    });
  `);
  t.strictSame((await once(worker, 'message') as unknown[])[0], 'ERR_INVALID_HANDLE_TYPE');
  t.strictSame(await once(worker, 'exit'), [0, null]);
});

/** The kernel's end of sessions.ts, a process of its own: `serve ADDRESS` serves until its input ends; `ask ADDRESS COUNT` is the WebSocket client. */
import * as net from 'node:net';
import * as tls from 'node:tls';
import { CERTIFICATE } from '../../examples/support/certificate.js';
import { askWebSocket, serve } from './sessions.js';

const [what, host = '', count] = process.argv.slice(2);
if (what === 'serve') {
  const end = await serve((server, port) => server.listen(port, host));
  process.stdout.write('ready\n');
  process.stdin.resume().once('end', end);
} else {
  const connect = (port: number, ALPNProtocols: string[] = []): tls.TLSSocket => tls.connect({
    socket: net.connect({ host, port }), servername: 'localhost', ca: CERTIFICATE, ALPNProtocols,
  });
  process.stdout.write(await askWebSocket(connect, Number(count)));
}

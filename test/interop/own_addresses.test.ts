/** One address on one interface is one TCP server's, whatever process it is in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import t from 'tap';
import { TcpServer } from '../../lib/index.js';
import { Link } from './peers.js';
import { missing } from './support.js';

const REGISTER = new URL('../../lib/register.js', import.meta.url).href;
const lacking = missing('ip', 'curl');

t.setTimeout(60_000);

/** Serves; once it does, it forks itself, tells what the child has said, and serves on. */
const PROGRAM = `
  import { fork } from 'node:child_process';
  import { createServer } from 'node:http';
  import { fileURLToPath } from 'node:url';
  const server = createServer((request, response) => response.end(process.send === undefined ? 'the parent' : 'the child'));
  server.on('error', ({ code, cause, message }) => process.send({ code, cause: cause?.code, message }, () => process.exit()));
  server.listen(80, () => {
    if (process.send !== undefined) process.send({ code: 'none' });
    else fork(fileURLToPath(import.meta.url)).on('message', (said) => console.log(JSON.stringify(said)));
  });
`;

t.test('a forked process does not start a TCP server on the address of its parent\'s', { skip: lacking }, async (t) => {
  const link = await Link.open();
  t.teardown(() => link.close());
  const file = `${t.testdir({ 'app.mjs': PROGRAM })}/app.mjs`;
  const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks are not for this one
  const parent = spawn(process.execPath, ['--import', REGISTER, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, TCP_OFFLOAD_DEVICE: 'packet:s0', TCP_OFFLOAD_NETNS: link.serverNamespace, TCP_OFFLOAD_ADDRESS: `${link.serverAddress}/24,2001:DB8:77:0::2/64` },
  });
  t.teardown(() => parent.kill('SIGKILL'));
  const [said] = await once(createInterface({ input: parent.stdout }), 'line') as [string];
  t.match(JSON.parse(said), { code: 'ERR_TCP_SERVER_START', cause: 'EADDRINUSE', message: /another TCP server on the interface "s0" has the address 198\.51\.100\.2; give/ });
  t.equal(await link.inPeer('curl', '-sS', '-m', '20', `http://${link.serverAddress}/`), 'the parent');

  const options = { device: 'packet:s0', netns: link.serverNamespace };
  await t.rejects(TcpServer.start({ ...options, address: ['198.51.100.9/24', '2001:db8:77::2/64'] }), { code: 'EADDRINUSE', message: /address 2001:db8:77::2;/ });
  const other = await TcpServer.start({ ...options, address: '198.51.100.9/24' });
  await other.close();

  const ended = once(parent, 'exit');
  parent.kill('SIGKILL');
  await ended;
  const next = await TcpServer.start({ ...options, address: `${link.serverAddress}/24` });
  await next.close();
});

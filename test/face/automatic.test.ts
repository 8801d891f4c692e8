/** A TCP server that nobody has started: it starts with the first use, as the environment says, and ends with the last. */
import t from 'tap';
import { ROUND_TRIP, runUsing } from './program.js';

const ECHO = new URL('../../examples/net_echo.js', import.meta.url).href;

t.test('examples/net_echo.ts', { timeout: 60_000 }, async (t) => {
  t.match(await runUsing(`
    const { server } = await import('${ECHO}');
    await once(server, 'listening');
    const socket = net.connect(server.address().port);
    socket.end('there and back');
    for await (const chunk of socket) console.log(String(chunk));
    server.close();
  `), /^listening on port \d+\nthere and back\n$/);
});

t.test('a TCP server starts by itself', { timeout: 60_000 }, async (t) => {
  t.equal(await runUsing(`${ROUND_TRIP} server.close();`), 'served\n', 'at the first listen');
  t.match(await runUsing('net.connect(80)'), /connect ECONNREFUSED 127\.0\.0\.1:80/, 'at the first connect');
  const program = 'await 0; net.createServer().listen(0).unref(); try { await TcpServer.start() } catch (error) { console.log(error.code) }';
  t.equal(await runUsing(program), 'ERR_TCP_SERVER_ALREADY_STARTED\n', 'and is the one that there is');
  t.match(await runUsing('attach()'), /ERR_TCP_SERVER_NOT_STARTED/, 'but not where another is looked for');
  const nowhere = { TCP_OFFLOAD_DEVICE: 'packet:no-such-if', TCP_OFFLOAD_ADDRESS: '198.18.0.2/24' };
  const failing = await runUsing('net.connect(80).on("error", (error) => console.log(error.message, error.cause.code))', 'import', nowhere);
  t.match(failing, /^The TCP server could not be started.*no-such-if.* ENODEV\n$/, 'where it cannot, sockets and servers tell why');
  t.match(await runUsing('net.connect(80)', 'import', { TCP_OFFLOAD_DEVICE: 'tap:x' }), /ERR_INVALID_ARG_VALUE/);
});

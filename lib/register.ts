/**
 * `node --import tcp-offload/register app.js` puts the servers and clients of `node:net` in this thread on the TCP server, and with
 * them those of `http`, `https`, `http2` and `tls`, which stand on it; TCP_OFFLOAD_LISTEN and TCP_OFFLOAD_CONNECT say which (environment.ts).
 *
 * Servers: Node's `Server` stays what it is, and the one place at which its `listen` opens a listener is replaced, so that it does
 * not matter which modules have inherited from it already. Clients: `net.Socket` and what makes one become the package's, which are
 * Node's own wherever the kernel carries the connection.
 */
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';
import { isMainThread } from 'node:worker_threads';
import './server.js';
import { currentPort } from './attachment.js';
import { environmentOptions, environmentRules } from './environment.js';
import { connect } from './net.js';
import type { ListeningServer } from './net_listen.js';
import { useRules } from './net_rules.js';
import { listen2 } from './net_server.js';
import { Socket } from './net_socket.js';
import { checkOptions } from './options.js';
import { connectTls } from './tls_sockets.js';

const { listen, connect: connects } = environmentRules();
useRules(listen, connects);

/** Parts of Node's modules as they are, which their types do not say. */
const modules = net as unknown as Record<string, unknown>;
const agents = http.Agent.prototype as unknown as { createConnection: unknown };

// The agents of `http` have taken it from `net` when they were loaded.
if (agents.createConnection === modules.createConnection) agents.createConnection = connect;
(net.Server.prototype as ListeningServer)._listen2 = listen2;
Object.assign(modules, { Socket, Stream: Socket, connect, createConnection: connect });
Object.assign(tls, { connect: connectTls });
syncBuiltinESMExports();

// What is wrong with the environment is told here, and not at the first listen.
const { device } = checkOptions(environmentOptions());
// A loopback of its own is in nobody's way, so it comes up while the app is still being loaded. An interface is another matter: this may
// be a process that another one has started and that has nothing to do with the network.
if (isMainThread && device === 'loopback') currentPort();

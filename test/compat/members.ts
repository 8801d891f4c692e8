/**
 * What Node 20's documentation of `net` lists, and what there is of it here. `docs/net-compatibility.md` is made from this table, and
 * members.test.ts holds it against what is really there.
 */

/** 'yes': on the TCP server. 'Node': Node's own, unchanged. 'kernel': Node's own, and the kernel carries it. 'part': see the note. */
export type Support = 'yes' | 'part' | 'Node' | 'kernel' | 'no';

export interface Member {
  /** As the documentation writes it. */
  readonly name: string;
  readonly support: Support;
  /** What else is to be known; empty where nothing is. */
  readonly note?: string;
}

/** Where the members of a group are looked for: among the exports, on a prototype, on an instance, among the events. */
export type Place = 'exports' | 'Socket' | 'Server' | 'BlockList' | 'SocketAddress' | 'Socket events' | 'Server events' | 'options';

export interface Group {
  readonly title: string;
  readonly place: Place;
  readonly members: readonly Member[];
}

const PATH = 'A Unix domain socket';

export const groups: readonly Group[] = [
  {
    title: 'Functions and classes',
    place: 'exports',
    members: [
      { name: 'net.BlockList', support: 'Node' },
      { name: 'net.SocketAddress', support: 'Node' },
      { name: 'net.Server', support: 'yes', note: "Node's own class on another listener; with and without `new`, and by `Server.call(this)`" },
      { name: 'net.Socket', support: 'yes', note: 'With and without `new`, and by `Socket.call(this)`; an instance of Node\'s as well' },
      { name: 'net.connect()', support: 'yes' },
      { name: 'net.connect(options[, connectListener])', support: 'yes' },
      { name: 'net.connect(path[, connectListener])', support: 'kernel', note: PATH },
      { name: 'net.connect(port[, host][, connectListener])', support: 'yes' },
      { name: 'net.createConnection()', support: 'yes' },
      { name: 'net.createConnection(options[, connectListener])', support: 'yes' },
      { name: 'net.createConnection(path[, connectListener])', support: 'kernel', note: PATH },
      { name: 'net.createConnection(port[, host][, connectListener])', support: 'yes' },
      { name: 'net.createServer([options][, connectionListener])', support: 'yes' },
      { name: 'net.getDefaultAutoSelectFamily()', support: 'Node' },
      { name: 'net.setDefaultAutoSelectFamily(value)', support: 'Node' },
      { name: 'net.getDefaultAutoSelectFamilyAttemptTimeout()', support: 'Node' },
      { name: 'net.setDefaultAutoSelectFamilyAttemptTimeout(value)', support: 'Node' },
      { name: 'net.isIP(input)', support: 'Node' },
      { name: 'net.isIPv4(input)', support: 'Node' },
      { name: 'net.isIPv6(input)', support: 'Node' },
    ],
  },
  {
    title: 'Class: net.BlockList',
    place: 'BlockList',
    members: [
      { name: 'blockList.addAddress(address[, type])', support: 'Node' },
      { name: 'blockList.addRange(start, end[, type])', support: 'Node' },
      { name: 'blockList.addSubnet(net, prefix[, type])', support: 'Node' },
      { name: 'blockList.check(address[, type])', support: 'Node' },
      { name: 'blockList.rules', support: 'Node' },
    ],
  },
  {
    title: 'Class: net.SocketAddress',
    place: 'SocketAddress',
    members: [
      { name: 'socketaddress.address', support: 'Node' },
      { name: 'socketaddress.family', support: 'Node' },
      { name: 'socketaddress.flowlabel', support: 'Node' },
      { name: 'socketaddress.port', support: 'Node' },
    ],
  },
  {
    title: 'Class: net.Server, events',
    place: 'Server events',
    members: [
      { name: "'close'", support: 'yes' },
      { name: "'connection'", support: 'yes' },
      { name: "'error'", support: 'yes', note: 'EADDRINUSE and EADDRNOTAVAIL come after `listen` has returned, as in Node, though some turns of the event loop later' },
      { name: "'listening'", support: 'yes', note: 'Once the TCP server has answered, some turns of the event loop later than in Node' },
      { name: "'drop'", support: 'yes' },
    ],
  },
  {
    title: 'Class: net.Server',
    place: 'Server',
    members: [
      { name: 'server.address()', support: 'yes', note: 'The port that was chosen for 0 is known at once: the answer of the TCP server is waited for' },
      { name: 'server.close([callback])', support: 'yes' },
      { name: 'server[Symbol.asyncDispose]()', support: 'yes' },
      { name: 'server.getConnections(callback)', support: 'yes', note: 'Those of this thread' },
      { name: 'server.listen()', support: 'yes' },
      { name: 'server.listen(handle[, backlog][, callback])', support: 'kernel', note: 'A handle is the kernel\'s' },
      { name: 'server.listen(options[, callback])', support: 'yes' },
      { name: 'server.listen(path[, backlog][, callback])', support: 'kernel', note: PATH },
      { name: 'server.listen([port[, host[, backlog]]][, callback])', support: 'yes', note: 'Several threads may listen on one port; each connection goes to the one with the fewest' },
      { name: 'server.listening', support: 'yes' },
      { name: 'server.maxConnections', support: 'yes' },
      { name: 'server.ref()', support: 'yes' },
      { name: 'server.unref()', support: 'yes' },
    ],
  },
  {
    title: 'Class: net.Socket, events',
    place: 'Socket events',
    members: [
      { name: "'close'", support: 'yes' },
      { name: "'connect'", support: 'yes' },
      { name: "'connectionAttempt'", support: 'yes' },
      { name: "'connectionAttemptFailed'", support: 'yes' },
      { name: "'connectionAttemptTimeout'", support: 'yes' },
      { name: "'data'", support: 'yes' },
      { name: "'drain'", support: 'yes' },
      { name: "'end'", support: 'yes' },
      { name: "'error'", support: 'yes', note: '`code`, `errno`, `syscall`, `address`, `port` and message as in Node; ERR_TCP_SERVER_DIED where the TCP server has ended' },
      { name: "'lookup'", support: 'yes' },
      { name: "'ready'", support: 'yes' },
      { name: "'timeout'", support: 'yes' },
    ],
  },
  {
    title: 'Class: net.Socket',
    place: 'Socket',
    members: [
      { name: 'socket.address()', support: 'yes' },
      { name: 'socket.autoSelectFamilyAttemptedAddresses', support: 'yes' },
      { name: 'socket.bufferSize', support: 'yes' },
      { name: 'socket.bytesRead', support: 'yes' },
      { name: 'socket.bytesWritten', support: 'yes' },
      { name: 'socket.connect()', support: 'yes' },
      { name: 'socket.connect(options[, connectListener])', support: 'yes' },
      { name: 'socket.connect(path[, connectListener])', support: 'kernel', note: PATH },
      { name: 'socket.connect(port[, host][, connectListener])', support: 'yes' },
      { name: 'socket.connecting', support: 'yes' },
      { name: 'socket.destroy([error])', support: 'yes', note: 'Unread bytes make it a reset (RFC 2525 2.17), as with Linux, but not before the peer has what was written' },
      { name: 'socket.destroyed', support: 'yes' },
      { name: 'socket.destroySoon()', support: 'yes' },
      { name: 'socket.end([data[, encoding]][, callback])', support: 'yes' },
      { name: 'socket.localAddress', support: 'yes' },
      { name: 'socket.localPort', support: 'yes' },
      { name: 'socket.localFamily', support: 'yes' },
      { name: 'socket.pause()', support: 'yes' },
      { name: 'socket.pending', support: 'yes' },
      { name: 'socket.ref()', support: 'yes' },
      { name: 'socket.remoteAddress', support: 'yes' },
      { name: 'socket.remoteFamily', support: 'yes' },
      { name: 'socket.remotePort', support: 'yes' },
      { name: 'socket.resetAndDestroy()', support: 'yes' },
      { name: 'socket.resume()', support: 'yes' },
      { name: 'socket.setEncoding([encoding])', support: 'yes' },
      { name: 'socket.setKeepAlive([enable][, initialDelay])', support: 'yes', note: 'Also with interval and count' },
      { name: 'socket.setNoDelay([noDelay])', support: 'yes' },
      { name: 'socket.setTimeout(timeout[, callback])', support: 'yes' },
      { name: 'socket.timeout', support: 'yes' },
      { name: 'socket.unref()', support: 'yes' },
      { name: 'socket.write(data[, encoding][, callback])', support: 'yes', note: 'Done once the send buffer has taken it, as with the kernel\'s' },
      { name: 'socket.readyState', support: 'yes' },
    ],
  },
  {
    title: 'Options of new net.Socket',
    place: 'options',
    members: [
      { name: 'allowHalfOpen', support: 'yes' },
      { name: 'fd', support: 'kernel' },
      { name: 'onread', support: 'yes' },
      { name: 'readable', support: 'kernel', note: 'With `fd`' },
      { name: 'signal', support: 'yes' },
      { name: 'writable', support: 'kernel', note: 'With `fd`' },
    ],
  },
  {
    title: 'Options of socket.connect',
    place: 'options',
    members: [
      { name: 'autoSelectFamily', support: 'yes' },
      { name: 'autoSelectFamilyAttemptTimeout', support: 'yes' },
      { name: 'family', support: 'yes' },
      { name: 'hints', support: 'yes' },
      { name: 'host', support: 'yes' },
      { name: 'keepAlive', support: 'yes' },
      { name: 'keepAliveInitialDelay', support: 'yes' },
      { name: 'localAddress', support: 'yes' },
      { name: 'localPort', support: 'yes' },
      { name: 'lookup', support: 'yes' },
      { name: 'noDelay', support: 'yes' },
      { name: 'path', support: 'kernel', note: PATH },
      { name: 'port', support: 'yes' },
      { name: 'timeout', support: 'yes', note: 'Of `net.connect`' },
    ],
  },
  {
    title: 'Options of net.createServer',
    place: 'options',
    members: [
      { name: 'allowHalfOpen', support: 'yes' },
      { name: 'highWaterMark', support: 'yes' },
      { name: 'keepAlive', support: 'yes' },
      { name: 'keepAliveInitialDelay', support: 'yes' },
      { name: 'noDelay', support: 'yes' },
      { name: 'pauseOnConnect', support: 'yes' },
    ],
  },
  {
    title: 'Options of server.listen',
    place: 'options',
    members: [
      { name: 'backlog', support: 'yes', note: 'Bounds the connections that wait for this thread' },
      { name: 'exclusive', support: 'part', note: 'In the worker of a cluster a server listens on the kernel unless it is exclusive' },
      { name: 'host', support: 'yes' },
      { name: 'ipv6Only', support: 'yes' },
      { name: 'path', support: 'kernel', note: PATH },
      { name: 'port', support: 'yes' },
      { name: 'readableAll', support: 'kernel', note: 'With `path`' },
      { name: 'signal', support: 'yes' },
      { name: 'writableAll', support: 'kernel', note: 'With `path`' },
    ],
  },
  {
    title: 'What other modules see of it',
    place: 'options',
    members: [
      { name: 'socket._handle', support: 'no', note: 'There is none: a socket of the TCP server has no handle of the kernel. What looks into it is not public' },
      { name: 'subprocess.send(message, socketOrServer)', support: 'no', note: 'Another process cannot take over a connection or a listener: ERR_INVALID_HANDLE_TYPE' },
      { name: "perf_hooks: entries of type 'net'", support: 'no', note: 'They are made inside Node' },
      { name: "diagnostics_channel: 'net.client.socket', 'net.server.socket'", support: 'yes' },
      { name: 'connections within one machine', support: 'part', note: 'The loopback device is this process\'s own: other processes have another' },
    ],
  },
];

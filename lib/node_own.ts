/** Classes of `node:net` as Node made them: what the module exports may be the package's by and by (register.ts). */
import net from 'node:net';

export const NodeSocket = net.Socket;
export const NodeServer = net.Server;

/** An echo server of blocking sockets (`npm start -- --app sync_echo`): one thread, which waits for all its connections at once. */
import { SyncServer, listen, poll } from '../lib/sync.js';
import type { SyncSocket } from '../lib/sync.js';

export function serveEcho(port: number, onListening: () => void): never {
  const buffer = Buffer.alloc(65536);
  let open: (SyncServer | SyncSocket)[] = [listen({ port })];
  onListening();
  for (;;) {
    for (const ready of poll(open)) {
      try {
        if (ready instanceof SyncServer) open.push(ready.accept());
        else if (ready.write(buffer.subarray(0, ready.read(buffer)), { timeout: 1000 }) === 0) ready.close();
      } catch {
        ready.close(); // The peer has reset the connection, or reads nothing for a second: the others do not wait for it.
      }
    }
    open = open.filter(({ closed }) => !closed);
  }
}

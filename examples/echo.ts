/** An echo server over MemNet (`npm start -- --app echo`): each byte is copied once, from where it was received to where it is sent from. */
import { MemNet } from '../lib/memnet.js';
import type { MemNetFlow } from '../lib/memnet.js';

/** Serves a port of this thread's TCP server. @param onConnection called for each. */
export async function serveEcho(port: number, onConnection: () => void): Promise<MemNet> {
  const memnet = new MemNet();
  memnet.onEvents = (events) => {
    while (events.next()) {
      if (events.type === 'accept') onConnection();
      else if (events.type === 'readable' || events.type === 'writable') echo(events.flow);
    }
  };
  await memnet.listen({ port });
  return memnet;
}

function echo(flow: MemNetFlow): void {
  for (let length = flow.peek(); length > 0; length = flow.peek()) {
    const taken = flow.write(flow.memory, flow.dataAt, length);
    flow.consume(taken);
    // No room: the rest waits where it is, the peer's window closes, and 'writable' follows.
    if (taken < length) return;
  }
  if (flow.ended) flow.close();
}

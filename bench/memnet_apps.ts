/** The least that a server can do, over MemNet. */
import type { MemNet, MemNetEvents, MemNetFlow } from '../lib/memnet.js';
import { FIXED_RESPONSE, SOURCE_BYTES } from './payload.js';

/** @param app fixed, source or sink. @returns what takes the events. */
export function serve(app: string, memnet: MemNet): (events: MemNetEvents) => void {
  const act = { source: (flow: MemNetFlow) => send(memnet, flow), sink: discard }[app] ?? respond;
  return (events) => {
    while (events.next()) {
      const { flow, type } = events;
      if (type === 'accept') flow.setNoDelay(true);
      if (flow.ended) flow.close();
      else if (type === 'readable' || type === 'writable' || type === 'accept') act(flow);
    }
  };
}

/** The same bytes for each view, which with this load is one request. */
function respond(flow: MemNetFlow): void {
  const length = flow.peek();
  if (length === 0) return;
  flow.consume(length);
  flow.write(FIXED_RESPONSE);
}

/** Writes in place as much as there is room for. */
function send(memnet: MemNet, flow: MemNetFlow): void {
  for (let room = flow.reserve(SOURCE_BYTES.length); room > 0; room = flow.reserve(SOURCE_BYTES.length)) {
    memnet.memory.fill(0x78, flow.roomAt, flow.roomAt + room);
    flow.commit(room);
  }
}

function discard(flow: MemNetFlow): void {
  for (let length = flow.peek(); length > 0; length = flow.peek()) flow.consume(length);
}

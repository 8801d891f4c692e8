/** The least that a server can do, over MemNet. */
import type { MemNetEvents, MemNetFlow } from '../lib/memnet.js';
import { FILE_BYTES, FILE_HEAD, FIXED_RESPONSE, SOURCE_BYTE, SOURCE_BYTES, openBenchFile } from './payload.js';

/** @param app fixed, file, source or sink. @returns what takes the events. */
export function serve(app: string): (events: MemNetEvents) => void {
  const act = actOf(app);
  return (events) => {
    while (events.next()) {
      const { flow, type } = events;
      if (type === 'accept') flow.setNoDelay(true);
      if (flow.ended) flow.close();
      else if (type === 'readable' || type === 'writable' || type === 'accept') act(flow);
    }
  };
}

function actOf(app: string): (flow: MemNetFlow) => void {
  if (app === 'source') return send;
  if (app === 'sink') return discard;
  if (app !== 'file') return respond;
  const descriptor = openBenchFile();
  return (flow) => sendFile(flow, descriptor);
}

/** The file for each view, which with this load is one request. */
function sendFile(flow: MemNetFlow, descriptor: number): void {
  const length = flow.peek();
  if (length === 0) return;
  flow.consume(length);
  flow.write(FILE_HEAD);
  // The load asks again when it has all of it, and acknowledges with that at the latest.
  if (!flow.sendFile(descriptor, 0, FILE_BYTES, true)) flow.reset();
}

/** The same bytes for each view, which with this load is one request. What finds no room in the send memory follows when there is some. */
function respond(flow: MemNetFlow): void {
  const length = flow.peek();
  flow.consume(length);
  const owed = length > 0 ? FIXED_RESPONSE.length : flow.context as number | undefined ?? 0;
  if (owed > 0) flow.context = owed - flow.write(FIXED_RESPONSE, FIXED_RESPONSE.length - owed, owed);
}

/** Writes in place as much as there is room for. */
function send(flow: MemNetFlow): void {
  for (let room = flow.reserve(SOURCE_BYTES); room > 0; room = flow.reserve(SOURCE_BYTES)) {
    flow.memory.fill(SOURCE_BYTE, flow.roomAt, flow.roomAt + room);
    flow.commit(room);
  }
}

function discard(flow: MemNetFlow): void {
  for (let length = flow.peek(); length > 0; length = flow.peek()) flow.consume(length);
}

/** Timers that have run out, by flow. */
import { onAckTimer } from './ack.js';
import { finish } from './close.js';
import type { Core } from './core.js';
import { onHandshakeTimer } from './handshake.js';
import { onKeepAliveTimer } from './keepalive.js';
import { onReorderTimer } from './repair.js';
import { onRetransmitTimer } from './rto.js';
import {
  CLOSED, ESTABLISHED, FIN_WAIT_2, FREE, RELEASED, TIMER_ACK, TIMER_LIFE, TIMER_PACE, TIMER_REORDER, TIMER_RETRANSMIT, TIME_WAIT,
} from './state.js';
import type { Tcb } from './tcb.js';
import { rearm, takeDue } from './timers.js';

/** The node of `flow` in the wheel has expired: some timers may be due, or none. */
export function expire(core: Core, flow: number): void {
  const t = core.t.at(flow);
  if (takeDue(core, t, TIMER_ACK)) onAckTimer(core, t);
  if (takeDue(core, t, TIMER_REORDER)) onReorderTimer(core, t);
  if (takeDue(core, t, TIMER_PACE)) core.flows.touch(t);
  if (takeDue(core, t, TIMER_RETRANSMIT)) {
    if (t.state < ESTABLISHED) onHandshakeTimer(core, t);
    else onRetransmitTimer(core, t);
  }
  if (takeDue(core, t, TIMER_LIFE)) onLifeTimer(core, t);
  if (t.state !== CLOSED && t.state !== FREE) rearm(core, t);
}

function onLifeTimer(core: Core, t: Tcb): void {
  if (t.state === TIME_WAIT) finish(core, t);
  else if (t.state === FIN_WAIT_2 && t.has(RELEASED)) finish(core, t);
  else onKeepAliveTimer(core, t);
}

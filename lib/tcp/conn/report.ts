/** What the owner may hear of a connection that stands (RFC 9293 3.9.1.8): trouble that is no end of it. */
import type { Core } from './core.js';
import { EV_REPORT, REPORTS_ON } from './state.js';
import type { Tcb } from './tcb.js';

/** Notes an error that does not end the connection. Should the connection end by its timeout, that is what it died of. */
export function report(core: Core, t: Tcb, errno: number): void {
  t.softError = errno;
  if ((t.asides & REPORTS_ON) !== 0) core.flows.changed(t, EV_REPORT);
}

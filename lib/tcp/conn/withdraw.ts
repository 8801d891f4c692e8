/** An own address is given up: a lease has ended, or a router says so (RFC 2131 4.4.5, RFC 4862 5.5.4). */
import { EADDRNOTAVAIL } from '../errno.js';
import { sameAddress } from '../wire/address.js';
import { fail, finish } from './close.js';
import type { Core } from './core.js';
import { CLOSED, TIME_WAIT } from './state.js';

/**
 * Ends every connection from the address at `words[at]`; their owners hear EADDRNOTAVAIL. No reset is sent: the address is not this
 * host's to send from. It looks at all flows, which is seldom enough.
 */
export function withdraw(core: Core, words: Int32Array, at: number): void {
  const { flows, t } = core;
  for (let flow = 0; flow < flows.maxFlows; flow++) {
    if (!flows.isUsed(flow)) continue;
    t.at(flow);
    if (t.state === CLOSED || !sameAddress(core.words, t.localAt, words, at)) continue;
    if (t.state === TIME_WAIT) finish(core, t);
    else fail(core, t, EADDRNOTAVAIL);
  }
}

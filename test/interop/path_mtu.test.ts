/** A path that carries less than both ends think, between the TCP server and the kernel: told by a router, and in silence. */
import t from 'tap';
import { net } from '../../lib/index.js';
import { ask, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link, within } from './peers.js';
import { missing } from './support.js';

const COUNT = 5_000_000;

for (const router of ['tells', 'silent'] as const) {
  t.test(`a router that ${router === 'tells' ? 'sends ICMP' : 'drops what does not fit, in silence'}: 5 MB from us arrive`, { skip: missing('ip') }, async (t) => {
    const link = await Link.open({ mtu: 1300, router });
    t.teardown(() => link.close());
    await link.withServer(t, {}, async (server) => {
      const sum = await within(25, 'the upload', ask(net as unknown as Net, 'upload', link.peerAddress, COUNT));
      t.equal(sum, sumOf(COUNT));
      const { TcpExtTCPMTUPBlackHole: holes, TcpExtTCPMTUPSuccess: successes, TcpExtTCPTimeouts: timeouts } = server.counters;
      if (router === 'tells') {
        t.strictSame([holes, timeouts], [0, 0], 'by what the router says, without a timeout');
      } else {
        t.equal(holes, 1, 'a black hole was found');
        t.ok(successes >= 1, `${successes} larger segments got through`);
      }
    });
  });
}

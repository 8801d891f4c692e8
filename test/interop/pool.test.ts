/** A restart of every worker of a pool while wrk asks all along: no connection is lost. */
import t from 'tap';
import { startPool } from '../../examples/pool.js';
import { missing, shell, withServer } from './support.js';

t.test('wrk sees no error of a socket and no failed request', { skip: missing('ip', 'wrk'), timeout: 120_000 }, async (t) => {
  await withServer({}, async ({ serverAddress }) => {
    const pool = await startPool(2, 8080, new Int32Array(new SharedArrayBuffer(8)));
    const before = pool.workers.map(({ threadId }) => threadId);
    const load = shell(`wrk -t1 -c64 -d12s http://${serverAddress}:8080/`);
    await pool.restart();
    const said = await load;
    t.match(said, /[1-9]\d* requests in/);
    t.notMatch(said, /Socket errors|Non-2xx/);
    t.comment(said);
    t.notOk(pool.workers.some(({ threadId }) => before.includes(threadId)), 'every thread is another one');
    await pool.close();
  });
});

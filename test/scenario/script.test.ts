/** The packet-trace language (script.ts): what does not hold is told, with its line, in its own notation. */
import t from 'tap';
import type { Test } from 'tap';
import { Trace } from './trace.js';

/** What a script says where it does not hold. */
function failure(t: Test, text: string, begin: (p: Trace) => void = () => { /* nothing before it */ }): string {
  const silent = { equal: (a: unknown, b: unknown) => a === b, ok: (a: unknown) => Boolean(a), strictSame: () => true, fail: () => false };
  const p = new Trace(silent as unknown as Test);
  begin(p);
  try {
    p.script(text);
  } catch (error) {
    return (error as Error).message;
  }
  t.fail('the script holds');
  return '';
}

t.test('a segment that is not the one expected', async (t) => {
  t.equal(failure(t, 'connect\n> S 0 mss 1400'), 'line 2: > S 0 mss 1400\n  expected > S 0 mss 1400\n  got      > S 0 mss 1460');
  t.equal(failure(t, '> A 1'), 'line 1: > A 1\n  expected > A 1\n  got      (nothing was sent)');
  const echo = (p: Trace): void => p.accept({ mss: 1000 });
  t.equal(failure(t, 'write "ab"\n> PA 1 "abc"', echo), 'line 2: > PA 1 "abc"\n  expected > PA 1:4 "abc"\n  got      > PA 1:3 "ab"');
  t.equal(failure(t, 'write 5\n> PA 1 ack 1', echo), 'line 2: > PA 1 ack 1\n  expected > PA 1 ack 1\n  got      > PA 1:6 ack 1');
});

t.test('a segment that nobody expects, before the next event and at the end', async (t) => {
  const expected = (line: number, text: string): string => `line ${line}: ${text}\n  expected (nothing more is sent)\n  got      > S 0`;
  t.equal(failure(t, 'connect\n\n+5ms'), expected(3, '+5ms'));
  t.equal(failure(t, 'connect'), expected(1, 'the end of the script'));
});

t.test('the wrong time, state, event, text', async (t) => {
  t.match(failure(t, 'connect\n> S 0\n+900ms > S 0'), 'line 3: +900ms > S 0\n  expected +900ms\n  got      +1000ms');
  t.match(failure(t, '= CLOSED', (p) => p.accept()), 'line 1: = CLOSED\n  expected CLOSED\n  got      ESTABLISHED');
  t.match(failure(t, '< R 1\n! eof', (p) => p.accept()), 'line 2: ! eof\n  expected eof\n  got      error closed');
  t.match(failure(t, '< R 1\n! error ETIMEDOUT closed', (p) => p.accept()), 'expected ETIMEDOUT\n  got      ECONNRESET');
  t.match(failure(t, '< PA 1 ack 1 "abc"\n> A\nread "abd"', (p) => p.accept()), 'expected "abd"\n  got      "abc"');
});

t.test('lines that make no sense', async (t) => {
  for (const [text, why] of [
    ['jump', 'no such event: jump'], ['< Z 0', 'no flags: Z'], ['> A 1 mass 5', 'no such word: mass'], ['< A 1 ack x', 'no number: x'],
    ['+5', 'no time: +5'], ['+5ms < A 1', 'only what is sent can follow a time'], ['! surprised', 'no such event: surprised'],
    ['nodelay perhaps', 'nodelay on, or off'], ['< icmp about 1', 'icmp TYPE/CODE about SEQ'],
  ] as const) {
    t.equal(failure(t, text, (p) => p.accept()), `line 1: ${text}\n  ${why}`);
  }
});

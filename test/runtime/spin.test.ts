/** When the TCP server looks again instead of sleeping. */
import t from 'tap';
import { Spin } from '../../lib/runtime/spin.js';
import { Clock } from '../../lib/tcp/clock.js';

/** One pause: looks each µs for as long as the spin says so, then sleeps. Returns how long it has looked. */
function pause(spin: Spin, from: number, length: number): number {
  let looked = 0;
  while (looked < length && spin.again(new Clock(from + looked))) looked++;
  spin.worked(new Clock(from + length));
  return looked;
}

function pauses(spin: Spin, count: number, length: number): number[] {
  return Array.from({ length: count }, (_, i) => pause(spin, i * 10_000, length));
}

t.test('short pauses are spent looking', (t) => {
  t.strictSame(new Set(pauses(new Spin(50, true), 100, 20)), new Set([20]));
  t.end();
});

t.test('while pauses are long it sleeps at once, and it looks again when they are short again', (t) => {
  const spin = new Spin(50, true);
  const long = pauses(spin, 40, 1000);
  t.strictSame(long.slice(0, 8), Array(8).fill(50), 'it takes some to learn from');
  t.strictSame(new Set(long.slice(9)), new Set([0]));
  const short = pauses(spin, 40, 20);
  t.equal(short[0], 0);
  t.strictSame(new Set(short.slice(16)), new Set([20]));
  t.end();
});

t.test('one long pause among short ones does not matter', (t) => {
  const spin = new Spin(50, true);
  for (let i = 0; i < 100; i++) t.strictSame(pauses(spin, 3, i % 3 === 0 ? 500 : 10).at(-1), i % 3 === 0 ? 50 : 10);
  t.end();
});

t.test('of a pause that was slept through, the wake-up does not count', (t) => {
  const spin = new Spin(50, true);
  pauses(spin, 40, 1000);
  t.strictSame(pauses(spin, 40, 80).slice(0, 8), Array(8).fill(0));
  t.ok(pauses(spin, 20, 30).at(-1) === 30);
  t.end();
});

t.test('a time that was asked for stands, and none is none', (t) => {
  t.strictSame(new Set(pauses(new Spin(20, false), 100, 1000)), new Set([20]));
  t.strictSame(new Set(pauses(new Spin(0, true), 10, 5)), new Set([0]));
  t.end();
});

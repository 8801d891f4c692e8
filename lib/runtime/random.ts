/** Random 32-bit words for the protocol core, drawn from the system in batches. */
import { randomFillSync } from 'node:crypto';

const BATCH = 256;

/** A source of unsigned 32-bit words, fit for ports and sequence numbers. */
export function randomWords(): () => number {
  const words = new Uint32Array(BATCH);
  let next = BATCH;
  return () => {
    if (next === BATCH) {
      randomFillSync(words);
      next = 0;
    }
    return words[next++];
  };
}

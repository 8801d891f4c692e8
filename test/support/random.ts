/** A seeded source of unsigned 32-bit words for tests (xorshift32, Marsaglia 2003): the same seed, the same run. */
export function randomOf(seed: number): () => number {
  let state = (seed * 0x9e3779b9) | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

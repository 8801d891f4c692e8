/** A token bucket: `rate` a second on average, `burst` at once. For answers to strangers, whose number they choose. */
export class RateLimit {
  private readonly perMicrosecond: number;
  private readonly burst: number;
  private tokens: number;
  private filledAt = -Infinity;

  /** @param rate tokens a second. @param burst tokens that the bucket holds, at least 1. */
  constructor(rate: number, burst: number) {
    this.perMicrosecond = rate / 1e6;
    this.burst = burst;
    this.tokens = burst;
  }

  /** Takes a token; false where there is none. @param now in µs, never less than before. */
  take(now: number): boolean {
    this.tokens = Math.min(this.burst, this.tokens + (now - this.filledAt) * this.perMicrosecond);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

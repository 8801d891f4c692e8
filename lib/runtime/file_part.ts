/**
 * Bytes of a file in a send stream. They take up positions of the stream, and lie in none of the app thread's blocks: its chain counts
 * without them. One file at a time is not acknowledged, so two numbers tell one from the other.
 *
 * ```
 *   stream   │ written before │ file …………………… │ written after │
 *   chain    │ written before │ written after │
 *            0               at              at + length
 * ```
 *
 * Positions count bytes from 0, modulo 2^32.
 */
export class FilePart {
  /** Bytes of the files that were acknowledged before this one. */
  before = 0;
  /** Position in the stream of its first byte. */
  at = 0;
  length = 0;
  /** Not all of it is acknowledged. */
  pending = false;

  /** Position in the stream of position `written` of the chain, behind the file. */
  inStream(written: number): number {
    return (written + this.before + (this.pending ? this.length : 0)) | 0;
  }

  /** Position in the chain of position `position` of the stream: one within the file is where the file stands. */
  inChain(position: number): number {
    if (!this.pending) return (position - this.before) | 0;
    const ahead = (position - this.at) | 0;
    return ((ahead <= 0 ? position : ahead < this.length ? this.at : position - this.length) - this.before) | 0;
  }

  /** The stream is acknowledged up to `position`. True where the file is to its end, and was not before. */
  acknowledge(position: number): boolean {
    if (!this.pending || ((position - this.at) | 0) < this.length) return false;
    this.before = (this.before + this.length) | 0;
    this.pending = false;
    return true;
  }
}

/** The file that the app has last had the TCP server send on one flow, at the app thread. */
import { FilePart } from './file_part.js';
import { FILE_BYTES_MOST, FILE_QUIET, SUBMIT_FILE } from './messages.js';

const TWO_TO_32 = 2 ** 32;

export class AppFile extends FilePart {
  /** It is still to be submitted. */
  changed = false;
  #descriptor = 0;
  #offset = 0;
  #quiet = false;

  /** The file stands in the stream from `at` on; none is pending. */
  ask(at: number, descriptor: number, offset: number, length: number, quiet: boolean): void {
    this.at = at;
    this.length = Math.min(length, FILE_BYTES_MOST);
    this.#descriptor = descriptor;
    this.#offset = offset;
    this.#quiet = quiet;
    this.pending = this.changed = true;
  }

  /** Fills in the entry at word `at`. */
  write(words: Int32Array, at: number, flow: number, generation: number): void {
    words[at] = this.#quiet ? SUBMIT_FILE | FILE_QUIET : SUBMIT_FILE;
    words[at + 1] = flow;
    words[at + 2] = generation;
    words[at + 3] = this.#descriptor;
    words[at + 4] = this.#offset | 0;
    words[at + 5] = Math.floor(this.#offset / TWO_TO_32);
    words[at + 6] = this.at;
    words[at + 7] = this.length;
    this.changed = false;
  }
}

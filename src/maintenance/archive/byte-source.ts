import { isBytes, notBytes } from "../../store/source.ts";
import { IDLE, SourcePuller } from "../../store/source-puller.ts";
import type { Pieces } from "../pieces.ts";

/** Bytes that come in pieces, taken as they are needed. */
export class ByteSource {
  readonly #pieces: SourcePuller<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;
  /** Bytes that were taken. */
  position = 0;

  /** An abort ends the wait for a piece. */
  constructor(pieces: Pieces, signal: AbortSignal | undefined) {
    this.#pieces = new SourcePuller(pieces, signal);
  }

  /** Tells whoever makes the pieces that no more are wanted. */
  async stop(): Promise<void> {
    await this.#pieces.stop();
  }

  /** What comes next: at least `size` bytes, or less at the end. Valid until something is taken. */
  async peek(size: number): Promise<Buffer> {
    if (this.#buffer.length >= size) return this.#buffer;
    const parts: Buffer[] = [this.#buffer];
    let length = this.#buffer.length;
    while (length < size && !this.#ended) {
      const next = await this.#pieces.next(false);
      if (next === IDLE || next.done) {
        this.#ended = true;
        break;
      }
      if (!isBytes(next.value)) throw notBytes("the archive", next.value);
      // Whoever makes the pieces may use their memory again.
      parts.push(Buffer.from(next.value));
      length += next.value.length;
    }
    this.#buffer = parts.length === 1 ? this.#buffer : Buffer.concat(parts);
    return this.#buffer;
  }

  /** Passes over bytes that were peeked at. */
  take(size: number): void {
    this.#buffer = this.#buffer.subarray(size);
    this.position += size;
  }

  /** The next `size` bytes in pieces; fewer when the source ends. */
  async *stream(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      const piece = (await this.peek(1)).subarray(0, left);
      if (piece.length === 0) return;
      yield piece;
      this.take(piece.length);
      left -= piece.length;
    }
  }
}

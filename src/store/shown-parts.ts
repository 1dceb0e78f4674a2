import type { FileWindow } from "../file-system.ts";
import { GMAC_PIECE_SIZE, type RunningChecksum } from "../format/stored-checksum.ts";

/** Bytes of one piece. */
const PIECE_SIZE: number = 1024 ** 2;
/** Bytes that are read before a window is asked again, after it had not all that it should show. */
const UNSHOWN_SIZE: number = 64 * 1024 ** 2;
/** Bytes that are shown at a time: fewer cost more calls, more cost memory. */
const PART_SIZE: number = 4 * 1024 ** 2;
/** Milliseconds that a caller has a piece before the file is looked at again: longer ones, as of a slow network, are for others to cut it in. */
const SLOW_MS = 20;
/** Those that have a tag of their own, where something is done with each part beside the caller. */
const BESIDE_SIZE: number = GMAC_PIECE_SIZE;
/** Such parts that are shown at the same time, the one among them that is looked at. */
const BESIDE_AT_ONCE = 3;

interface ShownOptions {
  readonly start: number;
  readonly end: number;
  readonly ahead: boolean;
  readonly checksum?: RunningChecksum | undefined;
}

/** What is shown and was not given yet. */
interface Part {
  readonly bytes: Uint8Array;
  readonly at: number;
  /** What is done with it beside the caller; false when it has to be read after all. */
  readonly ready: Promise<boolean> | undefined;
  /** The checksum has it, once that is done. */
  readonly isSummed: boolean;
}

type OpenWindow = (size: number, atOnce: number) => FileWindow | undefined;
type Read = (start: number, end: number) => AsyncIterable<Uint8Array>;

/** The bytes of a file as they stand in memory, those ahead of their turn with which something is done beside the caller. */
export class ShownParts {
  readonly #window: FileWindow;
  readonly #options: ShownOptions;
  readonly #size: number;
  readonly #coming: Part[] = [];
  /** Where the part begins that is shown next. */
  #next: number;
  /** When the last piece was given, or the file was looked at. */
  #givenMs: number = performance.now();

  private constructor(window: FileWindow, size: number, options: ShownOptions) {
    this.#window = window;
    this.#options = options;
    this.#size = size;
    this.#next = options.start;
  }

  /** Undefined where there is no window. */
  static open(openWindow: OpenWindow, options: ShownOptions): ShownParts | undefined {
    const isBeside = options.ahead || options.checksum !== undefined;
    const size = isBeside ? BESIDE_SIZE : PART_SIZE;
    const window = openWindow(size, isBeside ? BESIDE_AT_ONCE : 1);
    return window && new ShownParts(window, size, options);
  }

  /** All bytes; those that cannot be shown as `read` gives them, which also updates the checksum. */
  async *pieces(read: Read): AsyncGenerator<Uint8Array> {
    const { end } = this.#options;
    try {
      while (this.#next < end || this.#coming.length > 0) {
        const part = this.#take();
        if (part !== undefined && (part.ready === undefined || (await part.ready))) {
          if (!(yield* this.#piecesOf(part))) return;
          continue;
        }
        const from = part?.at ?? this.#next;
        const until = part === undefined ? Math.min(end, from + UNSHOWN_SIZE) : from + part.bytes.length;
        let at = from;
        for await (const piece of read(from, until)) {
          at += piece.length;
          yield piece;
        }
        if (at < until) return;
        if (part === undefined) this.#next = until;
      }
    } finally {
      await Promise.allSettled(this.#coming.map(({ ready }) => ready));
      this.#window.close();
    }
  }

  /** The next part, while something is done with those behind it; undefined when it has to be read. */
  #take(): Part | undefined {
    if (this.#coming.length === 0) this.#show();
    const first = this.#coming.shift();
    if (first?.ready !== undefined) while (this.#coming.length < BESIDE_AT_ONCE - 1 && this.#show());
    return first;
  }

  /** False when there is nothing to be shown. */
  #show(): boolean {
    const { end, checksum, ahead } = this.#options;
    const until = Math.min(end, this.#next + this.#size);
    const willLoad = ahead && checksum?.updateBeside === undefined;
    const bytes = this.#next < end ? this.#window.show(this.#next, until, willLoad) : undefined;
    if (bytes === undefined) return false;
    const isWhole = bytes.length === until - this.#next;
    const summed = isWhole ? checksum?.updateBeside?.(bytes)?.then(() => true) : undefined;
    const ready = summed ?? (ahead ? this.#window.load() : undefined);
    // Whoever stops before its turn does not hear of it.
    ready?.catch(() => undefined);
    this.#coming.push({ bytes, at: this.#next, ready, isSummed: summed !== undefined });
    this.#next += bytes.length;
    return true;
  }

  /** False when somebody has cut the file: whoever touches what was behind its end now ends the process. */
  *#piecesOf({ bytes, at, isSummed }: Part): Generator<Uint8Array, boolean> {
    const { checksum } = this.#options;
    for (let from = 0; from < bytes.length; from += PIECE_SIZE) {
      const isLate = performance.now() - this.#givenMs > SLOW_MS;
      if (isLate && !this.#window.reaches(at + bytes.length)) return false;
      const piece = bytes.subarray(from, from + PIECE_SIZE);
      if (!isSummed) checksum?.update(piece);
      this.#givenMs = performance.now();
      yield piece;
    }
    return true;
  }
}

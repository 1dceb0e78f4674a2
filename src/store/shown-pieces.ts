import { type FileWindow, SHOWN_AT_ONCE } from "../file-system.ts";
import { GMAC_PIECE_SIZE, type RunningChecksum } from "../format/stored-checksum.ts";

/** Bytes that are shown together: those that have a tag of their own, no more than a window shows. */
const PART_SIZE: number = GMAC_PIECE_SIZE;
/** Bytes of one piece. */
const PIECE_SIZE: number = 1024 ** 2;
/** Bytes that are read before a window is asked again, after it had not all that it should show. */
const UNSHOWN_SIZE: number = 64 * 1024 ** 2;

interface ShownOptions {
  readonly start: number;
  readonly end: number;
  readonly ahead: boolean;
  readonly checksum?: RunningChecksum | undefined;
}

/** What is shown and was not given yet. */
interface Shown {
  readonly bytes: Uint8Array;
  readonly at: number;
  /** What is done with it beside the caller; false when it has to be read after all. */
  readonly ready: Promise<boolean> | undefined;
  /** The checksum has it, once that is done. */
  readonly isSummed: boolean;
}

type Read = (start: number, end: number) => AsyncIterable<Uint8Array>;

/** What is in memory as it stands there, the rest as `read` gives it, which also updates the checksum. */
export async function* shownPieces(window: FileWindow, options: ShownOptions, read: Read): AsyncGenerator<Uint8Array> {
  const coming = new ComingParts(window, options);
  try {
    while (coming.next < options.end || coming.some) {
      const shown = coming.take();
      const from = shown?.at ?? coming.next;
      const until = shown === undefined ? Math.min(options.end, from + UNSHOWN_SIZE) : from + shown.bytes.length;
      if (shown !== undefined && (shown.ready === undefined || (await shown.ready))) {
        yield* piecesOf(shown, options.checksum);
        continue;
      }
      let at = from;
      for await (const piece of read(from, until)) {
        at += piece.length;
        yield piece;
      }
      if (at < until) return;
      if (shown === undefined) coming.next = until;
    }
  } finally {
    await coming.settled();
    window.close();
  }
}

function* piecesOf({ bytes, isSummed }: Shown, checksum: RunningChecksum | undefined): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += PIECE_SIZE) {
    const piece = bytes.subarray(from, from + PIECE_SIZE);
    if (!isSummed) checksum?.update(piece);
    yield piece;
  }
}

/** Parts that are shown ahead of their turn, where there is something to do with them beside the caller. */
class ComingParts {
  /** Where the part begins that is shown next. */
  next: number;
  readonly #window: FileWindow;
  readonly #options: ShownOptions;
  readonly #parts: Shown[] = [];

  constructor(window: FileWindow, options: ShownOptions) {
    this.#window = window;
    this.#options = options;
    this.next = options.start;
  }

  get some(): boolean {
    return this.#parts.length > 0;
  }

  /** The next part, while those behind it are being looked at; undefined when it has to be read. */
  take(): Shown | undefined {
    if (this.#parts.length === 0) this.#show();
    const first = this.#parts.shift();
    if (first?.ready !== undefined) while (this.#parts.length < SHOWN_AT_ONCE - 1 && this.#show());
    return first;
  }

  /** False when there is nothing to be shown. */
  #show(): boolean {
    const { end, checksum, ahead } = this.#options;
    const until = Math.min(end, this.next + PART_SIZE);
    const bytes = this.next < end ? this.#window.show(this.next, until) : undefined;
    if (bytes === undefined) return false;
    const isWhole = bytes.length === until - this.next;
    const summed = isWhole ? checksum?.updateBeside?.(bytes)?.then(() => true) : undefined;
    const ready = summed ?? (ahead ? this.#window.load() : undefined);
    // Whoever stops before its turn does not hear of it.
    ready?.catch(() => undefined);
    this.#parts.push({ bytes, at: this.next, ready, isSummed: summed !== undefined });
    this.next += bytes.length;
    return true;
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#parts.map(({ ready }) => ready));
  }
}

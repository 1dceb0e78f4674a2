import { getU32, setU32 } from "./bytes.ts";

/**
 * What two tsdos programs say to each other over a connection (docs/format.md, "Backup protocol"): the one that was started for the
 * other prints {@link GREETING}; then both send frames: u32 length of the payload, u8 type, payload.
 */
export const GREETING = "tsdos-backup 1\n";

export const frameTypes = {
  /** JSON: what is asked for. */
  request: 1,
  /** Bytes of the file that the last request begins. */
  data: 2,
  /** JSON: the file has ended. */
  end: 3,
  /** JSON: the answer to the oldest request that has none. */
  reply: 4,
  /** JSON: how far the other side is. */
  progress: 5,
  /** JSON: the result of the whole; nothing follows. */
  result: 6,
} as const;

const HEADER_SIZE = 5;
/** Bytes; a frame that claims more is refused before anything is allocated. */
export const MAX_PAYLOAD: number = 4 * 1024 ** 2;

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

export function printFrame(type: number, payload: Uint8Array): Buffer {
  if (payload.length > MAX_PAYLOAD) throw new RangeError(`a frame of ${payload.length} bytes is too large`);
  const bytes = Buffer.allocUnsafe(HEADER_SIZE + payload.length);
  setU32(bytes, 0, payload.length);
  bytes[4] = type;
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}

/** Takes the bytes of a connection as they come, and gives its frames. */
export class FrameParser {
  #waiting: Buffer[] = [];
  #size = 0;

  /** Bytes that belong to a frame that is not complete. */
  get incomplete(): number {
    return this.#size;
  }

  /** The frames that are complete with this piece. @throws Error when it is no frame of ours; nothing can be read after that */
  *push(piece: Uint8Array): Generator<Frame> {
    this.#waiting.push(Buffer.from(piece));
    this.#size += piece.length;
    for (;;) {
      if (this.#size < HEADER_SIZE) return;
      const head = this.#joined(HEADER_SIZE);
      const length = getU32(head, 0);
      if (length > MAX_PAYLOAD) throw new Error(`a frame claims ${length} bytes`);
      if (this.#size < HEADER_SIZE + length) return;
      const all = this.#joined(HEADER_SIZE + length);
      const frame = { type: all[4] as number, payload: all.subarray(HEADER_SIZE, HEADER_SIZE + length) };
      const rest = all.subarray(HEADER_SIZE + length);
      if (rest.length === 0) this.#waiting.shift();
      else this.#waiting[0] = rest;
      this.#size -= HEADER_SIZE + length;
      yield frame;
    }
  }

  /** The first piece, made to hold at least `size` bytes, which are there. */
  #joined(size: number): Buffer {
    let [first] = this.#waiting as [Buffer];
    if (first.length < size) {
      first = Buffer.concat(this.#waiting);
      this.#waiting = [first];
    }
    return first;
  }
}

/** A JSON object in a frame; undefined when it is none. */
export function parsePayload(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

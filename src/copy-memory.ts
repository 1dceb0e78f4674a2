/** Not among the types of Node: those of its own are for web pages. */
declare const WebAssembly: {
  readonly Memory: new (pages: {
    readonly initial: number;
    readonly maximum: number;
  }) => { readonly buffer: ArrayBuffer };
};
const WASM_PAGE = 65_536;

const PAGE = 4096;
/** How far a copy's two ends are apart within a page: a line of the processor's cache, which writing wants them to begin with. */
const APART = 64;
/** Bytes that the C library puts in front of a large piece of memory, which mostly begins at a page. */
const HEADER = 16;
/** Smaller pieces are copied by other instructions. */
const MIN_SIZE: number = 128 * 1024;

/**
 * Memory that a file's bytes at `position` are copied to or from fast. Processors copy two to seven times slower between places that
 * stand almost alike in their pages, as the start of a file does and large memory of the C library: they take what they read for
 * what they have just written. (Measured, for a GiB in pieces of 1 MiB: read in 125 ms, and from an odd position in 330, but in such
 * memory in 50; written in 415 and 165.) It begins within an `ArrayBuffer` that is larger.
 */
export function copyMemory(size: number, position = 0): Buffer {
  if (size < MIN_SIZE) return Buffer.allocUnsafe(size);
  const from = APART - HEADER + (position % PAGE);
  return Buffer.allocUnsafeSlow(from + size).subarray(from);
}

/**
 * As {@link copyMemory}, for sure: where the C library puts memory depends on what it had before. Takes some 10 us, and the
 * `ArrayBuffer` cannot be transferred: for large pieces that are used again. (A resizable one would begin at a page, too, but slows
 * down all code that looks at its bytes.)
 */
export function pieceMemory(size: number, position = 0): Buffer {
  const from = APART + (position % PAGE);
  const memory = pageMemory(from + size);
  return memory === undefined ? copyMemory(size, position) : Buffer.from(memory, from, size);
}

/** At least `size` bytes that begin at a page and are nobody else's; undefined where there is no such memory. */
export function pageMemory(size: number): ArrayBuffer | undefined {
  const pages = Math.ceil(size / WASM_PAGE);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer;
  } catch {
    // The address space of the process is limited, or WebAssembly is turned off.
    return undefined;
  }
}

/** The same bytes, whose `slice` copies them: that of a `Buffer` does not. For callers to whom they are lent. */
export function lent(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
}

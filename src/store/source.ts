import { isReadable, Readable } from "node:stream";
import { isUint8Array } from "node:util/types";
import { copyMemory } from "../copy-memory.ts";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import type { StoreContext } from "./context.ts";
import { isOwnLock } from "./own-locks.ts";
import { openedFile, readPieces } from "./read-pieces.ts";
import { IDLE, SourcePuller } from "./source-puller.ts";

/** A source that is a file, named by its path. Made by {@link fromFile}. */
export interface FileSource {
  readonly kind: "file";
  readonly path: string;
}

/** Where the bytes of a new object come from. */
export type Source = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | FileSource;

/** A file as the source of an object. It is opened when its turn comes. */
export function fromFile(path: string): FileSource {
  return { kind: "file", path };
}

/** Content of up to this many bytes is held in memory: its key is known before anything is written. */
export const SMALL_MAX: number = 4 * 1024 ** 2;
/** Bytes of one piece of large content in memory. */
const READ_SIZE = 1024 ** 2;

/** Content in pieces. A piece is valid until the next one is asked for. */
export interface LargeContent {
  readonly small?: never;
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly size: number | undefined;
  /** Ends the source also when no piece was asked for. */
  readonly stop?: () => Promise<void>;
}

/** Content that fits into memory, or the pieces of content that does not. */
export type Content = { readonly small: Uint8Array } | LargeContent;

/** Does something with the content; if that fails, wherever, the source is told that no more is wanted. */
export async function orStop<T>(content: LargeContent, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // What ended the work counts, not what the source says to it.
    await content.stop?.().catch(() => undefined);
    throw error;
  }
}

/** What can be done while a stream has its reader wait, or goes on for long. */
export interface Meanwhile {
  readonly isWanted: boolean;
  /** True when it is not to wait for a pause any more. */
  readonly due: boolean;
  readonly work: () => Promise<void>;
}

/** Reads sources. One reader serves one call: small contents share its buffer, and are valid until the next `read`. */
export class SourceReader {
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #signal: AbortSignal | undefined;
  #buffer: Uint8Array = new Uint8Array(64 * 1024);
  /** Ends the wait for the streams that were opened; made for the first of them, as is the signal, which is dear. */
  #ending: AbortController | undefined;
  #ends: AbortSignal | undefined;
  meanwhile: Meanwhile | undefined;

  /** For the container that is to have the content. With `signal`, an abort ends the wait for a stream that gives nothing. */
  constructor({ fs, root }: Pick<StoreContext, "fs" | "root">, signal?: AbortSignal) {
    this.#fs = fs;
    this.#root = root;
    this.#signal = signal;
  }

  /**
   * Opens a source. For bytes and small files the answer comes without a promise.
   * @throws TsdosError `SOURCE_FAILED`; TypeError for something that is not a source
   */
  read(source: Source): Content | Promise<Content> {
    if (isBytes(source)) return fromMemory(source);
    if (isFileSource(source)) return this.#readFile(source.path);
    if (source instanceof Blob)
      return this.#readStream(source.stream() as unknown as AsyncIterable<Uint8Array>, "a Blob");
    if (typeof source === "object" && source !== null && Symbol.asyncIterator in source) {
      return this.#readStream(source as AsyncIterable<Uint8Array>, "a stream");
    }
    throw new TypeError(
      "a source is a Uint8Array, Blob, ReadableStream, Readable, AsyncIterable of Uint8Array, or fromFile(path)",
    );
  }

  #readFile(path: string): Content {
    // Before it is opened: opening a pipe waits for whoever writes to it.
    const stat = this.#attempt(path, () => this.#fs.stat(path));
    if (stat?.isFile === false)
      throw sourceFailed(path, stat.isDirectory ? "it is a folder" : "it is not a regular file");
    if (stat !== undefined && this.#attempt(path, () => isOwnLock(this.#fs, this.#root, path, stat.inode)))
      throw sourceFailed(path, "an open container keeps others out by it, and reading it would let them in");
    const file = this.#attempt(path, () => this.#fs.open(path, "read"));
    try {
      const size = this.#attempt(path, () => this.#fs.size(file));
      if (size > SMALL_MAX) return { chunks: this.#pieces(path, size), size };
      const wanted = size + 1;
      if (this.#buffer.length < wanted) this.#buffer = copyMemory(Math.min(wanted * 2, SMALL_MAX + 1));
      const got = this.#attempt(path, () => this.#fs.read(file, this.#buffer, 0, wanted, 0));
      return got < wanted ? { small: this.#buffer.subarray(0, got) } : { chunks: this.#pieces(path, size), size };
    } finally {
      this.#fs.close(file);
    }
  }

  /** Opens the file again: what is never asked for must not stay open. */
  async *#pieces(path: string, size: number): AsyncGenerator<Uint8Array> {
    using file = openedFile(
      this.#fs,
      this.#attempt(path, () => this.#fs.open(path, "read")),
    );
    const pieces = readPieces(file, { start: 0, end: Number.POSITIVE_INFINITY, reuse: true, ahead: false, size });
    let got = 0;
    try {
      for await (const piece of pieces) {
        got += piece.length;
        yield piece;
      }
    } catch (error) {
      throw readFailed(path, error);
    }
    if (got < size) throw sourceFailed(path, `it was cut from ${size} bytes to ${got} while it was read`);
  }

  /** The stream that is being read fails soon, whatever it waits for. */
  stop(): void {
    this.#ending?.abort();
  }

  async #readStream(stream: AsyncIterable<Uint8Array>, what: string): Promise<Content> {
    if (isUsedUp(stream))
      throw new TsdosError(
        "SOURCE_FAILED",
        `${what} had been read, or cancelled, before its turn came; give a new one`,
      );
    this.#ending ??= new AbortController();
    this.#ends ??= AbortSignal.any([this.#ending.signal, ...(this.#signal === undefined ? [] : [this.#signal])]);
    const puller = new SourcePuller(checked(stream, what), this.#ends);
    const head: Uint8Array[] = [];
    let size = 0;
    try {
      while (size <= SMALL_MAX) {
        // A piece is valid until the next one is asked for.
        const last = head.at(-1);
        if (last !== undefined) head[head.length - 1] = new Uint8Array(last);
        const next = await this.#nextOf(puller);
        if (next.done) return { small: head.length === 1 ? (head[0] as Uint8Array) : Buffer.concat(head) };
        head.push(next.value);
        size += next.value.length;
      }
    } catch (error) {
      await puller.giveUp();
      throw error;
    }
    return { chunks: this.#resumed(head, puller), size: undefined, stop: () => puller.stop() };
  }

  async *#resumed(head: Uint8Array[], rest: SourcePuller<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      while (head.length > 0) yield head.shift() as Uint8Array;
      for (;;) {
        const next = await this.#nextOf(rest);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await rest.stop();
    }
  }

  async #nextOf(puller: SourcePuller<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const { meanwhile } = this;
      const isWanted = meanwhile?.isWanted ?? false;
      const next = await puller.next(isWanted);
      if (isWanted && (next === IDLE || meanwhile?.due)) await meanwhile?.work();
      if (next !== IDLE) return next;
    }
  }

  #attempt<T>(path: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw readFailed(path, error);
    }
  }
}

/** Also for one of another realm, as programs that run in `vm` (tests, plug-ins) make them; that takes longer to find out. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || isUint8Array(value);
}

function fromMemory(bytes: Uint8Array): Content {
  if (isGone(bytes)) throw memoryGone("a source");
  if (bytes.length <= SMALL_MAX) return { small: bytes };
  return { chunks: piecesOf(bytes), size: bytes.length };
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  const { length } = bytes;
  for (let at = 0; at < length; at += READ_SIZE) {
    yield bytes.subarray(at, at + READ_SIZE);
    if (bytes.length !== length) throw memoryGone("a source");
  }
}

/** True when the memory was transferred, or has shrunk so far that nothing is left: the array looks empty then. */
function isGone(bytes: Uint8Array): boolean {
  if (bytes.length > 0) return false;
  try {
    return new Uint8Array(bytes).length > 0;
  } catch {
    return true;
  }
}

export function notBytes(what: string, piece: unknown): TypeError {
  const named = typeof piece === "object" && piece !== null ? (piece.constructor?.name ?? "an object") : undefined;
  return new TypeError(`a piece of ${what} is no Uint8Array: ${named ?? (piece === null ? "null" : typeof piece)}`);
}

function memoryGone(what: string): TypeError {
  return new TypeError(`the memory of ${what} was transferred or resized before it was stored`);
}

function isFileSource(source: Source): source is FileSource {
  return (source as FileSource | undefined)?.kind === "file" && typeof (source as FileSource).path === "string";
}

/**
 * True for a stream that was read to its end or cancelled, as one is with which an insert failed: it seems empty. A stream without
 * content that nobody has read, and the rest of one, are as they should be. Of other iterables that cannot be told.
 */
function isUsedUp(stream: AsyncIterable<Uint8Array>): boolean {
  return Readable.isDisturbed(stream as Readable) && isReadable(stream as Readable) === false;
}

function readFailed(path: string, error: unknown): TsdosError {
  return sourceFailed(path, isTsdosError(error) ? (error.details.errno ?? error.message) : String(error), error);
}

function sourceFailed(path: string, reason: string, cause?: unknown): TsdosError {
  const errno = isTsdosError(cause) ? cause.details.errno : undefined;
  return new TsdosError(
    "SOURCE_FAILED",
    `cannot read the source ${path}: ${reason}; nothing of it was stored`,
    errno === undefined ? { path } : { path, errno },
    cause,
  );
}

/** The stream's pieces; what it throws, or pieces that are not bytes, become `SOURCE_FAILED`. */
async function* checked(stream: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  let misused = false;
  try {
    for await (const chunk of stream) {
      const given: unknown = chunk;
      misused = !isBytes(given) || isGone(given);
      if (misused) throw isBytes(given) ? memoryGone(`a piece of ${what}`) : notBytes(what, given);
      if (chunk.length > 0) yield chunk;
    }
  } catch (error) {
    // A TypeError may also be what a broken network body throws.
    // An object of another container that is damaged, for one, is a source that failed, and not a failure of this container.
    if (misused || isTsdosError(error, "SOURCE_FAILED")) throw error;
    const said = error instanceof Error ? error.message : String(error);
    const details = isTsdosError(error) ? error.details : {};
    throw new TsdosError("SOURCE_FAILED", `${what} failed: ${said}; nothing of it was stored`, details, error);
  }
}

import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { constants } from "node:os";
import path from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { type ErrorCode, TsdosError } from "../index.ts";
import { escapePath } from "./escape.ts";
import { OutputClosed, UsageError } from "./exit-codes.ts";
import type { Sink } from "./line-writer.ts";

// Here and in tree-files.ts the command line touches files: standard input and output, lists, manifests, and the user's
// trees. The files of a container are the library's business.

/** A path as the system takes it: bytes where it is not valid UTF-8. */
export type FilePath = string | Buffer;

const FULL_DISK = new Set(["ENOSPC", "EDQUOT"]);
const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);
const PIECE_BYTES = 64 * 1024;
/** Bytes. */
const LONGEST_LINE = 1024 * 1024;
const LINE_FEED = 0x0a;

/** The code of a system error, such as `ENOENT`; empty for another error. */
export const errnoOf = (error: unknown): string =>
  isOverQuota(error) ? "EDQUOT" : ((error as NodeJS.ErrnoException).code ?? "");

/** Node calls it `UNKNOWN`. */
const isOverQuota = (error: unknown): boolean => (error as NodeJS.ErrnoException).errno === -constants.errno.EDQUOT;

/** How messages call what is read from; `-` is standard input. */
export const inputName = (from: FilePath): string => (from === "-" ? "standard input" : escapePath(from));

/** What the system said about a file that is not the container's, as an error with a code. */
export function fileError(doing: string, at: FilePath, cause: unknown, asCode?: ErrorCode): TsdosError {
  const errno = errnoOf(cause);
  const code = FULL_DISK.has(errno) ? "NO_SPACE" : DENIED.has(errno) ? "ACCESS_DENIED" : "IO_ERROR";
  const shown = escapePath(at);
  const said = isOverQuota(cause) ? "disk quota exceeded" : cause instanceof Error ? cause.message : String(cause);
  // Node's messages end in the call and the path: "EISDIR: illegal operation on a directory, read"
  return new TsdosError(
    asCode ?? code,
    `cannot ${doing} ${shown}: ${said.split(", ")[0]}`,
    { path: shown, errno },
    cause,
  );
}

/** Runs `action`; what the system throws becomes an error that says what was done to which file. */
export function attempt<T>(doing: string, at: FilePath, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fileError(doing, at, error);
  }
}

export function packageVersion(): string {
  const text = fs.readFileSync(new URL(import.meta.resolve("tsdos/package.json")), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

// --- standard streams and lists -------------------------------------------------------------------------------------

export function writeAll(fd: number, chunk: string | Uint8Array): void {
  const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at);
}

/**
 * Standard output or error as a sink that resolves when its reader has taken the bytes, and rejects when `signal` aborts first.
 * Files are written here and not by Node's stream, which loses the rest, and says nothing, when a disk takes half of a write.
 */
export function standardSink(stream: NodeJS.WriteStream & { fd: 1 | 2 }, signal: AbortSignal): Sink {
  const name = stream.fd === 1 ? "standard output" : "standard error";
  const stat = fs.fstatSync(stream.fd);
  if (stat.isFile() || (stat.isCharacterDevice() && !stream.isTTY)) {
    return async (chunk) => attempt("write to", name, () => writeAll(stream.fd, chunk));
  }
  // Every write learns of its own failure.
  stream.on("error", () => {});
  return (chunk) =>
    new Promise((resolve, reject) => {
      const stop = (): void => reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      stream.write(chunk, (error) => {
        signal.removeEventListener("abort", stop);
        if (!error) resolve();
        else if (["EPIPE", "ERR_STREAM_DESTROYED"].includes(errnoOf(error))) reject(new OutputClosed());
        else reject(fileError("write to", name, error));
      });
    });
}

/** The bytes of a pipe, a device or a file; `-` is standard input. Ends with an error when `signal` aborts. */
async function byteStream(from: FilePath, signal: AbortSignal): Promise<Readable> {
  return addAbortSignal(signal, from === "-" ? process.stdin : await openStream(from));
}

/** A named pipe is opened without waiting for who writes to it: a thread that waits so could not be stopped. */
async function openStream(from: FilePath): Promise<Readable> {
  if (!fs.statSync(from, { throwIfNoEntry: false })?.isFIFO()) return fs.createReadStream(from);
  const { Socket } = await import("node:net");
  return new Socket({ fd: fs.openSync(from, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK), writable: false });
}

/**
 * The bytes of a file as a source for the store: opened when they are asked for, and failing with the file's name, also when it is cut
 * meanwhile.
 */
export async function* fileBytes(from: FilePath, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    const size = from === "-" ? 0 : plainSize(from);
    let got = 0;
    for await (const chunk of (await byteStream(from, signal)) as AsyncIterable<Uint8Array>) {
      got += chunk.length;
      yield chunk;
    }
    if (got < size) throw new Error(`it was cut from ${size} bytes to ${got} while it was read`);
  } catch (error) {
    throw signal.aborted ? error : fileError("read", from === "-" ? "standard input" : from, error, "SOURCE_FAILED");
  }
}

/** What a plain file has to give at least; 0 of anything else. */
function plainSize(at: FilePath): number {
  const stat = fs.statSync(at);
  return stat.isFile() ? stat.size : 0;
}

/** The bytes of a file (`-` is standard input) in pieces of whole lines, as they come; only the last line may lack its line feed. */
export async function* readWholeLines(from: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let restSize = 0;
  try {
    for await (const chunk of (await byteStream(from, signal)) as AsyncIterable<Buffer>) {
      const end = chunk.lastIndexOf(LINE_FEED) + 1;
      if (end > 0) {
        yield Buffer.concat([...rest, chunk.subarray(0, end)]);
        [rest, restSize] = [[], 0];
      }
      rest.push(chunk.subarray(end));
      restSize += chunk.length - end;
      if (restSize > LONGEST_LINE)
        throw new UsageError(`${inputName(from)} has a line of more than ${LONGEST_LINE} bytes`);
    }
  } catch (error) {
    if (signal.aborted || error instanceof UsageError) throw error;
    throw fileError("read", from === "-" ? "standard input" : from, error, "SOURCE_FAILED");
  }
  if (restSize > 0) yield Buffer.concat(rest);
}

/** The lines of a file (`-` is standard input), without their line feeds, in batches as they come. */
export async function* readLines(from: string, signal: AbortSignal): AsyncGenerator<readonly string[]> {
  for await (const bytes of readWholeLines(from, signal)) {
    const lines = bytes.toString().split("\n");
    if (lines.at(-1) === "") lines.pop();
    yield lines;
  }
}

/**
 * For a name that a new file will take; tells whether there is one already.
 * @throws UsageError for what would be lost by it: pipes, devices and folders, and where standard output and error go
 */
export function requireReplaceable(at: string): boolean {
  const existing = attempt("write", at, () => fs.statSync(at, { throwIfNoEntry: false, bigint: true }));
  if (existing === undefined) return false;
  if (!existing.isFile()) throw new UsageError(`${escapePath(at)} is not a plain file`);
  for (const [fd, name] of [
    [1, "output"],
    [2, "error"],
  ] as const) {
    const { dev, ino } = fs.fstatSync(fd, { bigint: true });
    if (dev === existing.dev && ino === existing.ino)
      throw new UsageError(`${escapePath(at)} is where standard ${name} goes, and would be replaced`);
  }
  return true;
}

/** A file that appears under its name, complete and synced, with {@link commit}, or not at all. */
export class NewFile {
  readonly path: string;
  /** Where it is until then. */
  readonly temporaryPath: string;
  readonly #file: number;
  #buffer = "";
  #open = true;
  #isCommitted = false;

  constructor(at: string) {
    const isThere = requireReplaceable(at);
    this.path = isThere ? attempt("write", at, () => fs.realpathSync(at)) : path.resolve(at);
    // A killed process leaves it behind, and process numbers come again.
    this.temporaryPath = `${this.path}.${randomBytes(6).toString("hex")}.tmp`;
    this.#file = attempt("write", at, () => fs.openSync(this.temporaryPath, "wx"));
  }

  line(text: string): void {
    this.#buffer += `${text}\n`;
    if (this.#buffer.length >= PIECE_BYTES) this.#flush();
  }

  bytes(chunk: Uint8Array): void {
    this.#flush();
    attempt("write", this.path, () => writeAll(this.#file, chunk));
  }

  commit(): void {
    this.#flush();
    attempt("write", this.path, () => {
      fs.fsyncSync(this.#file);
      this.#close();
      fs.renameSync(this.temporaryPath, this.path);
    });
    this.#isCommitted = true;
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    fs.closeSync(this.#file);
  }

  /** Leaves nothing behind, unless it was committed. */
  [Symbol.dispose](): void {
    if (this.#isCommitted) return;
    this.#close();
    fs.rmSync(this.temporaryPath, { force: true });
  }

  #flush(): void {
    attempt("write", this.path, () => writeAll(this.#file, this.#buffer));
    this.#buffer = "";
  }
}

// --- paths ----------------------------------------------------------------------------------------------------------

/** What a path on the command line leads to, links followed. */
export interface FoundPath {
  readonly kind: "file" | "folder" | "other";
  /** Without links. */
  readonly realPath: string;
  /** Bytes. */
  readonly size: number;
}

/** @throws TsdosError `SOURCE_FAILED` when nothing is there. */
export function findPath(at: string): FoundPath {
  try {
    const stat = fs.statSync(at);
    const kind = stat.isFile() ? "file" : stat.isDirectory() ? "folder" : "other";
    return { kind, realPath: kind === "other" ? at : fs.realpathSync(at), size: stat.size };
  } catch (error) {
    throw fileError("read", at, error, "SOURCE_FAILED");
  }
}

/** For a file that is read more than once, as standard input and pipes cannot be. */
export function requirePlainFile(at: string): void {
  if (at !== "-" && findPath(at).kind === "file") return;
  throw new UsageError(`${inputName(at)} is no plain file, and would have to be read twice`);
}

/** The path without links; of one that does not exist, as far as it does. */
export function realPath(at: string): string {
  try {
    return fs.realpathSync(at);
  } catch {
    const absolute = path.resolve(at);
    return absolute === "/" ? absolute : path.join(realPath(path.dirname(absolute)), path.basename(absolute));
  }
}

/** @throws UsageError for what is to be written in the folder of a container, whose own files it might replace */
export function refuseInside(container: string, at: string): void {
  if (`${realPath(at)}/`.startsWith(`${realPath(container)}/`))
    throw new UsageError(`${escapePath(at)} is in the container ${escapePath(container)}: choose another place`);
}

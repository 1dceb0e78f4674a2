import { createHash } from "node:crypto";
import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";

/** Bytes of one read. */
const READ_SIZE: number = 1024 ** 2;

/** The bytes of an open file from `start` to before `end`, or to its end; a piece is valid until the next one. */
export function* piecesOf(fs: FileSystem, file: number, start: number, end: number): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(READ_SIZE, end - start)));
  for (let at = start; at < end; ) {
    const got = fs.read(file, buffer, 0, Math.min(buffer.length, end - at), at);
    if (got === 0) return;
    yield buffer.subarray(0, got);
    at += got;
  }
}

/** The SHA-256 of the first bytes of a file, up to `end`; undefined when there is no such file. */
export function hashOfFile(fs: FileSystem, path: string, end: number): string | undefined {
  const file = fs.openIfExists(path);
  if (file === undefined) return undefined;
  try {
    const hash = createHash("sha256");
    for (const piece of piecesOf(fs, file, 0, Math.min(end, fs.size(file)))) hash.update(piece);
    return hash.digest("hex");
  } finally {
    fs.close(file);
  }
}

/** A file that is written under a temporary name and gets its own when it is complete and durable. */
export class StagedFile {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #temporary: string;
  readonly #file: number;
  /** Of what was appended; kept only to compare it with what is read back. */
  readonly #hash: ReturnType<typeof createHash> | undefined;
  readonly #start: number;
  #end: number;
  mtimeMs: number | undefined;

  /** `base`: a file whose first `length` bytes are those of this one. */
  constructor(
    fs: FileSystem,
    names: { readonly path: string; readonly temporary: string },
    options: { readonly readBack: boolean; readonly base?: { readonly path: string; readonly length: number } },
  ) {
    this.#fs = fs;
    this.path = names.path;
    this.#temporary = names.temporary;
    const { base, readBack } = options;
    if (base !== undefined) fs.copy(base.path, names.temporary);
    this.#file = fs.open(names.temporary, base === undefined ? "create" : "update");
    this.#start = base?.length ?? 0;
    this.#end = this.#start;
    this.#hash = readBack ? createHash("sha256") : undefined;
    if (base === undefined) return;
    try {
      fs.truncate(this.#file, base.length);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  get file(): number {
    return this.#file;
  }

  append(chunk: Uint8Array): void {
    this.#fs.write(this.#file, chunk, 0, chunk.length, this.#end);
    this.#end += chunk.length;
    this.#hash?.update(chunk);
  }

  /** Once it was synced: compares what is there with what was written, if so asked, and gives it its name. */
  place(): void {
    try {
      this.#compare();
    } finally {
      this.#fs.close(this.#file);
    }
    if (this.mtimeMs !== undefined) this.#fs.setModified(this.#temporary, this.mtimeMs);
    this.#fs.rename(this.#temporary, this.path);
  }

  #compare(): void {
    if (this.#hash === undefined) return;
    const readBack = createHash("sha256");
    for (const piece of piecesOf(this.#fs, this.#file, this.#start, this.#end)) readBack.update(piece);
    if (readBack.digest("hex") === this.#hash.digest("hex")) return;
    const message = `${this.path} does not read back as it was written: check the disk, and do not trust it with backups`;
    throw new TsdosError("IO_ERROR", message, { path: this.path });
  }

  discard(): void {
    try {
      this.#fs.close(this.#file);
    } finally {
      this.#fs.remove(this.#temporary);
    }
  }
}

import { createHash } from "node:crypto";
import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { Pacer } from "../../store/context.ts";
import { piecesOf } from "../pieces.ts";

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
  async place(): Promise<void> {
    try {
      await this.#compare();
    } finally {
      this.#fs.close(this.#file);
    }
    if (this.mtimeMs !== undefined) this.#fs.setModified(this.#temporary, this.mtimeMs);
    this.#fs.rename(this.#temporary, this.path);
  }

  async #compare(): Promise<void> {
    if (this.#hash === undefined) return;
    const readBack = createHash("sha256");
    const pacer = new Pacer();
    for (const piece of piecesOf(this.#fs, this.#file, this.#start, this.#end)) {
      readBack.update(piece);
      if (pacer.due) await pacer.pause();
    }
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

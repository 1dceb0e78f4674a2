import { randomBytes } from "node:crypto";
import { isTsdosError, TsdosError } from "../errors.ts";
import { SANDBOX_FOLDER } from "../format/paths.ts";
import { createHasherFor, keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { Pacer, type StoreContext, syncs } from "./context.ts";
import { keptOpen } from "./kept-open.ts";
import type { Elsewhere, LooseStore } from "./loose-store.ts";
import type { Inserter, InsertOptions, Stored } from "./object-store.ts";
import { type Content, type LargeContent, orStop, type Source, SourceReader } from "./source.ts";
import { WriteBehind } from "./write-behind.ts";

/** Files that are written before they are synced side by side and renamed; fewer where the process may have few files open. */
const WINDOW_FILES = 128;
/** Results that wait at most. */
const WINDOW_RESULTS = 512;

/** A file whose name or bytes are not durable yet. */
interface Pending {
  readonly key: ObjectKey;
  readonly file: number;
  /** In the sandbox; undefined for an object that was there already and only needs to be made durable. */
  readonly temporary?: string;
}

/** Writes loose objects in windows: sandbox files, one wave of syncs, the names of new folders, renames, one sync for each folder (I2). */
export class LooseWriter implements Inserter {
  readonly #context: StoreContext;
  readonly #store: LooseStore;
  readonly #sync: boolean;
  readonly #options: InsertOptions;
  readonly #elsewhere: Elsewhere | undefined;
  readonly reader: SourceReader;
  readonly #names: string;
  readonly #windowFiles: number;
  #counter = 0;
  #pending = new Map<ObjectKey, Pending>();
  #results: Stored[] = [];

  constructor(context: StoreContext, store: LooseStore, options: InsertOptions, elsewhere: Elsewhere | undefined) {
    this.#context = context;
    this.#store = store;
    this.#options = options;
    this.#sync = syncs(context, options);
    this.#elsewhere = elsewhere;
    this.reader = new SourceReader(context, options.signal);
    this.#windowFiles = keptOpen(context.fs, WINDOW_FILES, "window");
    this.#names = `${context.root}/${SANDBOX_FOLDER}/${process.pid}-${randomBytes(6).toString("hex")}`;
  }

  /** Results that were not given out yet. */
  get waiting(): number {
    return this.#results.length;
  }

  get full(): boolean {
    return this.#pending.size >= this.#windowFiles || this.#results.length >= WINDOW_RESULTS;
  }

  /** Takes the next source. Small contents from memory and files are handled without a promise. */
  add(source: Source): Promise<void> | undefined {
    const content = this.reader.read(source);
    if (content instanceof Promise) return content.then((opened) => this.#addContent(opened));
    return this.#addContent(content);
  }

  #addContent(content: Content): Promise<void> | undefined {
    if (content.small !== undefined) return this.#addSmall(content.small);
    return orStop(content, () => this.#addLarge(content));
  }

  #addSmall(bytes: Uint8Array): Promise<void> | undefined {
    const key = keyOf(bytes);
    if (this.#options.checkExisting) return this.#addChecked(key, bytes);
    if (this.#isPresent(key, bytes.length)) return undefined;
    const elsewhere = this.#elsewhere?.(key, bytes.length);
    if (elsewhere instanceof Promise) return elsewhere.then((found) => this.#finishSmall(key, bytes, found));
    return this.#finishSmall(key, bytes, elsewhere);
  }

  async #addChecked(key: ObjectKey, bytes: Uint8Array): Promise<void> {
    if ((await this.#isIntact(key)) && this.#isPresent(key, bytes.length)) return;
    this.#finishSmall(key, bytes, await this.#elsewhere?.(key, bytes.length));
  }

  /** What waits to be placed was hashed in this call. */
  async #isIntact(key: ObjectKey): Promise<boolean> {
    return this.#pending.has(key) || this.#store.isIntact(key, this.#options.signal);
  }

  #finishSmall(key: ObjectKey, bytes: Uint8Array, elsewhere: Stored | undefined): undefined {
    if (elsewhere !== undefined) {
      this.#results.push(elsewhere);
      return;
    }
    const { fs } = this.#context;
    const temporary = this.#temporaryName();
    const file = this.#create(temporary);
    try {
      fs.write(file, bytes, 0, bytes.length, 0);
    } catch (error) {
      this.#drop(file, temporary);
      throw error;
    }
    this.#place(key, file, temporary, bytes.length);
  }

  async #addLarge(content: LargeContent): Promise<void> {
    const { fs } = this.#context;
    const temporary = this.#temporaryName();
    const file = this.#create(temporary);
    // Behind what may fail: a thread that nobody closes would keep the process alive.
    const hasher = await createHasherFor(content.size);
    const behind = this.#sync ? new WriteBehind(fs) : undefined;
    const pacer = new Pacer();
    let size = 0;
    let key: ObjectKey;
    let isThere: boolean;
    try {
      for await (const chunk of content.chunks) {
        this.#options.signal?.throwIfAborted();
        const hashed = hasher.update(chunk);
        fs.write(file, chunk, 0, chunk.length, size);
        behind?.wrote(file, size, size + chunk.length);
        size += chunk.length;
        if (hashed !== undefined) await hashed;
        if (pacer.due) await pacer.pause();
      }
      key = await hasher.key();
      const mayBe = !this.#options.checkExisting || (await this.#isIntact(key));
      const present = mayBe && this.#isPresent(key, size);
      const elsewhere = present ? undefined : await this.#elsewhere?.(key, size);
      if (elsewhere !== undefined) this.#results.push(elsewhere);
      isThere = present || elsewhere !== undefined;
    } catch (error) {
      this.#drop(file, temporary);
      throw error;
    } finally {
      hasher.close();
    }
    if (isThere) this.#drop(file, temporary);
    else this.#place(key, file, temporary, size);
  }

  /** True when the content is loose already (or about to be): notes the result, and what is needed to make it durable. */
  #isPresent(key: ObjectKey, rawSize: number): boolean {
    const { fs } = this.#context;
    if (!this.#pending.has(key)) {
      const path = this.#store.pathOf(key);
      const stat = fs.stat(path);
      if (stat === undefined || !stat.isFile || stat.size !== rawSize) return false;
      if (this.#sync) {
        // What may be lost on the disk is written once more.
        if (this.#store.folders.isSuspect(key)) return false;
        const file = fs.openIfExists(path);
        if (file === undefined) return false;
        this.#pending.set(key, { key, file });
      }
    }
    this.#results.push({ key, rawSize, inserted: false, where: "loose" });
    return true;
  }

  /** The file is complete: it gets its name now, or after its sync. */
  #place(key: ObjectKey, file: number, temporary: string, rawSize: number): void {
    if (this.#sync) {
      this.#pending.set(key, { key, file, temporary });
    } else {
      this.#close(file, temporary);
      this.#rename(temporary, key);
    }
    this.#results.push({ key, rawSize, inserted: true, where: "loose" });
  }

  /** Makes everything so far as durable as asked, and gives out the results in the order of the sources. */
  async settle(): Promise<Stored[]> {
    if (this.#pending.size > 0) await this.#settlePending();
    const results = this.#results;
    this.#results = [];
    return results;
  }

  async #settlePending(): Promise<void> {
    const pending = [...this.#pending.values()];
    try {
      await this.#context.fs.syncAll(pending.map(({ file }) => file));
      const placed = pending.filter(({ temporary }) => temporary !== undefined);
      this.#store.folders.prepare(placed.map(({ key }) => key));
    } catch (error) {
      this.#store.folders.suspect(pending.map(({ key }) => key));
      throw error;
    }
    for (const { key, file, temporary } of pending) {
      this.#pending.delete(key);
      this.#close(file, temporary);
      if (temporary !== undefined) this.#rename(temporary, key);
    }
    this.#store.folders.sync(pending.map(({ key }) => key));
  }

  /** Closes and removes whatever was not acknowledged: all of it, also where that fails, which `clean` makes good. */
  abandon(): void {
    for (const { file, temporary } of this.#pending.values()) {
      try {
        this.#drop(file, temporary);
      } catch (error) {
        if (!isTsdosError(error)) throw error;
      }
    }
    this.#pending.clear();
    this.#results = [];
  }

  /** Network file systems tell only now that something was not written. */
  #close(file: number, temporary: string | undefined): void {
    try {
      this.#context.fs.close(file);
    } catch (error) {
      if (temporary !== undefined) this.#context.fs.remove(temporary);
      throw error;
    }
  }

  /** Gives the sandbox file its name. */
  #rename(temporary: string, key: ObjectKey): void {
    const { fs } = this.#context;
    const path = this.#store.pathOf(key);
    try {
      if (this.#tryRename(temporary, path)) return;
      this.#store.folders.make(key);
      fs.rename(temporary, path);
    } catch (error) {
      fs.remove(temporary);
      throw error;
    }
  }

  /** False when there is no prefix folder yet. */
  #tryRename(temporary: string, path: string): boolean {
    try {
      this.#context.fs.rename(temporary, path);
      return true;
    } catch (error) {
      if (isTsdosError(error, "NOT_FOUND")) return false;
      throw error;
    }
  }

  #create(temporary: string): number {
    try {
      return this.#context.fs.open(temporary, "create");
    } catch (error) {
      if (!isTsdosError(error, "NOT_FOUND")) throw error;
      const { root: path } = this.#context;
      // A container that was moved away is not begun anew.
      if (this.#context.fs.stat(path) === undefined) {
        throw new TsdosError("NOT_A_CONTAINER", `${path} was moved away or removed while it was open`, { path }, error);
      }
      this.#context.fs.makeDirectory(`${path}/${SANDBOX_FOLDER}`);
      return this.#context.fs.open(temporary, "create");
    }
  }

  #drop(file: number, temporary: string | undefined): void {
    try {
      this.#context.fs.close(file);
    } finally {
      if (temporary !== undefined) this.#context.fs.remove(temporary);
    }
  }

  #temporaryName(): string {
    return `${this.#names}-${++this.#counter}.tmp`;
  }
}

import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Container, type StoredObject, TsdosError } from "../index.ts";
import { escapePath } from "./escape.ts";
import { type FilePath, realPath } from "./files.ts";
import { missing } from "./keys.ts";
import type { ManifestEntry, ManifestFile, ManifestFolder, ManifestLink } from "./manifest.ts";
import { readManifest } from "./manifest-file.ts";
import type { Session } from "./session.ts";
import {
  copyFile,
  makeFolder,
  moveFile,
  PrivateFolder,
  pathInTree,
  setMode,
  writeNewFile,
  writeNewLink,
} from "./tree-files.ts";

interface RestoreOptions {
  readonly destination: string;
  /** Files that are there are replaced. */
  readonly force: boolean;
  /** What the manifest holds. */
  readonly total: { readonly totalObjects: number; readonly totalBytes: number };
}

/** Files whose objects are asked for in one go. More of them find more neighbours in the packs; fewer need less memory. */
const BATCH_FILES = 16_384;
/** Objects of up to this many bytes are held in memory, and verified before a file is made. */
const IN_MEMORY_BYTES = 4 * 1024 ** 2;
/** Set-user-ID and its like do not come back: owners do not, either. */
const RESTORED_MODE = 0o777;

/** Writes the tree of a manifest into a folder. */
export class Restorer {
  readonly totals = { files: 0, folders: 0, links: 0, bytes: 0 };
  readonly #session: Session;
  readonly #store: Container;
  readonly #options: RestoreOptions;
  /** From the destination, latin1, one character for each byte. */
  readonly #container: string;
  /** Folders that are there, and are no links. */
  readonly #folders = new Set<string>();
  /** Done last: nothing can be written through a link that is not there yet. */
  readonly #links: ManifestLink[] = [];
  /** Done last, the innermost first: a folder may forbid writing. */
  readonly #modes: ManifestFolder[] = [];

  constructor(session: Session, store: Container, options: RestoreOptions) {
    this.#session = session;
    this.#store = store;
    this.#options = options;
    const container = path.relative(realPath(options.destination), realPath(store.path));
    this.#container = Buffer.from(container).toString("latin1");
  }

  async restore(manifest: string): Promise<void> {
    const { signal } = this.#session;
    let files: ManifestFile[] = [];
    for await (const entries of readManifest(manifest, signal)) {
      for (const entry of entries) {
        if (entry.kind === "file") files.push(entry);
        else await this.#try(() => this.#addOther(entry));
        if (files.length < BATCH_FILES) continue;
        await this.#writeFiles(files);
        files = [];
      }
    }
    await this.#writeFiles(files);
    for (const link of this.#links) await this.#try(() => this.#writeLink(link));
    for (const { path, mode } of this.#modes.reverse()) {
      await this.#try(() => setMode(this.#pathOf(path), mode & RESTORED_MODE));
    }
  }

  #addOther(entry: Exclude<ManifestEntry, ManifestFile>): void {
    if (entry.kind === "link") {
      this.#links.push(entry);
      return;
    }
    this.#makeFolder(entry.path.toString("latin1"));
    this.#modes.push(entry);
    this.totals.folders++;
  }

  async #writeFiles(files: readonly ManifestFile[]): Promise<void> {
    const { signal } = this.#session;
    const bar = await this.#session.showProgress();
    const byKey = Map.groupBy(files, ({ key }) => key);
    for await (const { key, object } of this.#store.extractMany(byKey.keys(), { signal, verify: "hash" })) {
      const wanted = byKey.get(key) ?? [];
      await this.#try(() => this.#writeObject(object, wanted));
      bar?.update({ phase: "restore", objects: this.totals.files, bytes: this.totals.bytes, ...this.#options.total });
      if (this.#pauseIsDue()) await setImmediate();
      signal.throwIfAborted();
    }
  }

  /** Writes one object to every place where it belongs. */
  async #writeObject(object: StoredObject | undefined, files: readonly ManifestFile[]): Promise<void> {
    const places = files.map(({ path }) => escapePath(path)).join(", ");
    for (const { key, size } of files) {
      if (object === undefined)
        throw new TsdosError("NOT_FOUND", `${missing(key).message}, needed for ${places}`, { key });
      if (object.rawSize === size) continue;
      const message = `object ${key} has ${object.rawSize} bytes, the manifest has ${size} for ${places}`;
      throw new TsdosError("CORRUPT_OBJECT", message, { key });
    }
    if (object === undefined) return;
    const withFolder: ManifestFile[] = [];
    for (const file of files) {
      await this.#try(() => {
        this.#makeFolder(parentOf(file.path));
        withFolder.push(file);
      });
    }
    if (withFolder.length === 0) return;
    if (object.rawSize <= IN_MEMORY_BYTES) await this.#writeSmall(await object.bytes(), withFolder);
    else await this.#writeLarge(object, withFolder);
  }

  async #writeSmall(bytes: Uint8Array, files: readonly ManifestFile[]): Promise<void> {
    for (const { path, mode } of files) {
      await this.#try(() => {
        writeNewFile(this.#pathOf(path), bytes, mode & RESTORED_MODE, this.#options.force);
        this.#count(bytes.length);
      });
    }
  }

  async #writeLarge(object: StoredObject, files: readonly ManifestFile[]): Promise<void> {
    const { destination, force } = this.#options;
    // Nobody else can have put anything there, nor read it before it has its mode.
    using folder = new PrivateFolder(`${destination}/.tsdos-restore-`);
    const whole = `${folder.path}/whole`;
    await object.toFile(whole);
    for (const [index, { path, mode }] of files.entries()) {
      const last = index === files.length - 1;
      await this.#try(async () => {
        const from = last ? whole : `${folder.path}/${index}`;
        if (!last) await copyFile(whole, from);
        moveFile(from, this.#pathOf(path), mode & RESTORED_MODE, force);
        this.#count(object.rawSize);
      });
    }
  }

  #writeLink({ path, target }: ManifestLink): void {
    this.#makeFolder(parentOf(path));
    writeNewLink(this.#pathOf(path), target, this.#options.force);
    this.totals.links++;
  }

  /** Makes a folder and those above it. `name` is latin1, one character for each byte. */
  #makeFolder(name: string): void {
    if (name === "." || this.#folders.has(name)) return;
    const path = Buffer.from(name, "latin1");
    this.#makeFolder(parentOf(path));
    makeFolder(this.#pathOf(path), 0o777);
    this.#folders.add(name);
  }

  /** @throws TsdosError `ALREADY_EXISTS` for what would take the place of the container, which may be in the destination. */
  #pathOf(name: Buffer): FilePath {
    const at = pathInTree(this.#options.destination, name);
    if (!this.#container.startsWith("../") && `${name.toString("latin1")}/`.startsWith(`${this.#container}/`))
      throw new TsdosError("ALREADY_EXISTS", `${escapePath(at)} belongs to the container itself`, {
        path: escapePath(at),
      });
    return at;
  }

  #count(bytes: number): void {
    this.totals.files++;
    this.totals.bytes += bytes;
  }

  /** A failure of one object or link is reported, and the others go on, unless they would fail, too. */
  async #try(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const mayGoOn = error instanceof TsdosError && !["NO_SPACE", "CLOSED"].includes(error.code);
      if (!mayGoOn || this.#session.signal.aborted) throw error;
      await this.#session.fail(error);
    }
  }

  #pausedAt = performance.now();

  #pauseIsDue(): boolean {
    const now = performance.now();
    if (now - this.#pausedAt < 50) return false;
    this.#pausedAt = now;
    return true;
  }
}

function parentOf(path: Buffer): string {
  const name = path.toString("latin1");
  const end = name.lastIndexOf("/");
  return end < 0 ? "." : name.slice(0, end);
}

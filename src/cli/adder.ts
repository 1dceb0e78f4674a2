import { setImmediate } from "node:timers/promises";
import {
  type Container,
  fromFile,
  type InsertOptions,
  type InsertResult,
  isTsdosError,
  type Source,
} from "../index.ts";
import type { PlannedPath } from "./add-plan.ts";
import { escapePath } from "./escape.ts";
import { type FilePath, fileBytes } from "./files.ts";
import type { ManifestEntry } from "./manifest.ts";
import type { Session } from "./session.ts";
import { type TreeEntry, walkTree } from "./tree-files.ts";

/** A file on its way into the store. */
interface FileItem {
  readonly at: FilePath;
  readonly source: () => Source;
  /** Its place in the tree, if it belongs to one. */
  readonly entry?: TreeEntry;
}

interface Handlers {
  /** Absolute paths without links; trees are read without them. */
  readonly leaveOut: readonly string[];
  readonly onStored: (at: FilePath, result: InsertResult) => Promise<void> | undefined;
  /** Called for each file, folder and link of a tree, in the order of the walk, once it is stored. */
  readonly onTree: (entry: ManifestEntry) => void;
}

/** Feeds what was planned to `insertMany`. A file that cannot be read is reported, and the others go on. */
export class Adder {
  /** What is stored so far. */
  readonly totals = { objects: 0, inserted: 0, bytes: 0 };
  readonly #session: Session;
  readonly #store: Container;
  readonly #options: InsertOptions;
  readonly #handlers: Handlers;
  /** What the store took and did not yet acknowledge, with the folders and links between. */
  readonly #pending: (FileItem | ManifestEntry)[] = [];
  #finished = false;
  #expected: { readonly totalObjects?: number; readonly totalBytes?: number } = {};

  constructor(session: Session, store: Container, options: InsertOptions, handlers: Handlers) {
    this.#session = session;
    this.#store = store;
    this.#options = options;
    this.#handlers = handlers;
  }

  async add(plan: readonly PlannedPath[]): Promise<void> {
    const bar = await this.#session.showProgress();
    const measured = bar && plan.every(({ kind }) => kind !== "stream") ? this.#measure(plan) : undefined;
    // What can be read once only goes alone: after the failure of another file it could not be given to the store again.
    for (let at = 0; at < plan.length; ) {
      const next = plan.findIndex(
        ({ kind }, index) => index > at && (kind === "stream" || plan[at]?.kind === "stream"),
      );
      const end = next < 0 ? plan.length : next;
      await this.#addAll(this.#items(plan.slice(at, end)));
      at = end;
    }
    this.#finished = true;
    await measured;
  }

  async #addAll(items: Iterator<FileItem>): Promise<void> {
    const bar = await this.#session.showProgress();
    for (;;) {
      const { objects, bytes } = this.totals;
      const onProgress = bar && {
        onProgress: (progress: { objects: number; bytes: number }): void =>
          bar.update({
            phase: "add",
            objects: objects + progress.objects,
            bytes: bytes + progress.bytes,
            ...this.#expected,
          }),
      };
      try {
        const options = { ...this.#options, ...onProgress };
        for await (const result of this.#store.insertMany(this.#sources(items), options)) await this.#stored(result);
        return;
      } catch (error) {
        const failed = this.#findFailed(error);
        if (failed < 0) throw error;
        this.#pending.splice(failed, 1);
        this.#settleTree();
        await this.#session.fail(error);
      }
    }
  }

  /** The sources that were taken and not stored, when another one failed; then new ones. */
  *#sources(items: Iterator<FileItem>): Generator<Source> {
    for (const item of this.#pending.slice()) if ("source" in item) yield item.source();
    // Not `for ... of`: the store may stop this generator, and what it did not take is still wanted then.
    for (let next = items.next(); !next.done; next = items.next()) {
      this.#pending.push(next.value);
      yield next.value.source();
    }
  }

  /** The files to store. Folders and links go to the manifest when their turn comes. */
  *#items(plan: readonly PlannedPath[]): Generator<FileItem> {
    const { signal } = this.#session;
    for (const { kind, at } of plan) {
      if (kind === "file") yield { at, source: () => fromFile(at) };
      else if (kind === "stream") yield { at, source: () => fileBytes(at, signal) };
      else for (const entry of walkTree(at, this.#handlers.leaveOut)) yield* this.#treeItem(entry);
    }
  }

  *#treeItem(entry: TreeEntry): Generator<FileItem> {
    const { kind, at, mode, name, target, error } = entry;
    if (kind === "file") {
      const source = typeof at === "string" ? () => fromFile(at) : () => fileBytes(at, this.#session.signal);
      yield { at, entry, source };
    } else if (kind === "unreadable") {
      void this.#session.fail(error);
    } else if (kind === "special" || kind === "left-out") {
      const reason = kind === "special" ? "neither a file, a folder nor a link" : "part of this command's own work";
      void this.#session.note(`left out ${escapePath(at)}: ${reason}`);
    } else {
      const path = name;
      this.#pending.push(target === undefined ? { kind: "folder", mode, path } : { kind: "link", mode, path, target });
      this.#settleTree();
    }
  }

  async #stored(result: InsertResult): Promise<void> {
    const item = this.#pending.shift();
    if (item === undefined || !("source" in item)) throw new Error("the store acknowledged more than it was given");
    this.totals.objects++;
    this.totals.inserted += result.inserted ? 1 : 0;
    this.totals.bytes += result.rawSize;
    const { key, rawSize: size } = result;
    if (item.entry) this.#handlers.onTree({ kind: "file", key, size, mode: item.entry.mode, path: item.entry.name });
    this.#settleTree();
    await this.#handlers.onStored(item.at, result);
  }

  /** Hands on the folders and links that wait for no file before them. */
  #settleTree(): void {
    for (let first = this.#pending[0]; first !== undefined && "kind" in first; first = this.#pending[0]) {
      this.#handlers.onTree(first);
      this.#pending.shift();
    }
  }

  /** Which pending file an error is about; -1 when it is about something else. */
  #findFailed(error: unknown): number {
    if (!isTsdosError(error, "SOURCE_FAILED")) return -1;
    const { path } = error.details;
    const found = this.#pending.findIndex(
      (item) => "source" in item && (item.at === path || escapePath(item.at) === path),
    );
    return found;
  }

  /** Counts what is to be added, beside the work, for the remaining time. */
  async #measure(plan: readonly PlannedPath[]): Promise<void> {
    let totalObjects = 0;
    let totalBytes = 0;
    let seen = 0;
    for (const { kind, at, size = 0 } of plan) {
      const entries = kind === "file" ? [{ kind, size }] : walkTree(at, this.#handlers.leaveOut);
      for (const entry of entries) {
        if (entry.kind === "file") {
          totalObjects++;
          totalBytes += entry.size;
        }
        if (++seen % 200 === 0) await setImmediate();
        if (this.#finished || this.#session.signal.aborted) return;
      }
    }
    this.#expected = { totalObjects, totalBytes };
  }
}

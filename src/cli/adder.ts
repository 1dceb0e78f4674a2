import { setImmediate } from "node:timers/promises";
import {
  type Container,
  fromFile,
  type InsertManyOptions,
  type InsertResult,
  type Source,
  type TsdosError,
} from "../index.ts";
import type { PlannedPath } from "./add-plan.ts";
import { escapePath } from "./escape.ts";
import { type FilePath, fileBytes } from "./files.ts";
import type { ManifestEntry } from "./manifest.ts";
import { Queue } from "./queue.ts";
import type { Session } from "./session.ts";
import { type TreeEntry, walkTree } from "./tree-files.ts";

/** A file on its way into the store. */
interface FileItem {
  readonly at: FilePath;
  readonly source: () => Source;
  /** Its place in the tree, if it belongs to one. */
  readonly entry?: TreeEntry;
}

interface PendingFile {
  readonly item: FileItem;
  /** Its position in the call of `insertMany`. */
  readonly index: number;
  failed: boolean;
}

/** What waits for its turn to be told about: a file until it is stored, folders and links for the files before them. */
type Pending = PendingFile | ManifestEntry;

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
  readonly #options: InsertManyOptions;
  readonly #handlers: Handlers;
  /** In the order of the walk. */
  readonly #pending = new Queue<Pending>();
  #finished = false;
  #expected: { readonly totalObjects?: number; readonly totalBytes?: number } = {};

  constructor(session: Session, store: Container, options: InsertManyOptions, handlers: Handlers) {
    this.#session = session;
    this.#store = store;
    this.#options = options;
    this.#handlers = handlers;
  }

  async add(plan: readonly PlannedPath[]): Promise<void> {
    const bar = await this.#session.showProgress();
    const measured = bar?.wantsTotals && plan.every(({ kind }) => kind !== "stream") ? this.#measure(plan) : undefined;
    // A stream may let the store wait: what was given before it is stored and told about first.
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

  async #addAll(items: Iterable<FileItem>): Promise<void> {
    const bar = await this.#session.showProgress();
    const { objects: before, bytes: bytesBefore } = this.totals;
    const results = this.#store.insertMany(this.#sources(items), {
      ...this.#options,
      onSourceError: (error, index) => this.#failed(error, index),
      ...(bar && {
        onProgress: ({ objects, bytes }) =>
          bar.update({ phase: "add", objects: before + objects, bytes: bytesBefore + bytes, ...this.#expected }),
      }),
    });
    for await (const result of results) {
      const told = this.#stored(result);
      if (told !== undefined) await told;
    }
  }

  *#sources(items: Iterable<FileItem>): Generator<Source> {
    let index = 0;
    for (const item of items) {
      this.#pending.push({ item, index: index++, failed: false });
      yield item.source();
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
      this.#settle();
    }
  }

  #stored(result: InsertResult): Promise<void> | undefined {
    const pending = this.#pending.shift();
    if (pending === undefined || !("item" in pending) || pending.index !== result.index) {
      throw new Error("the store acknowledged something else than it was given");
    }
    const { item } = pending;
    this.totals.objects++;
    this.totals.inserted += result.inserted ? 1 : 0;
    this.totals.bytes += result.rawSize;
    const { key, rawSize: size } = result;
    if (item.entry) this.#handlers.onTree({ kind: "file", key, size, mode: item.entry.mode, path: item.entry.name });
    this.#settle();
    return this.#handlers.onStored(item.at, result);
  }

  #failed(error: TsdosError, index: number): void {
    // A stream that ends because the program does.
    if (this.#session.signal.aborted) return;
    const pending = this.#pending.find((each) => "item" in each && each.index === index);
    if (pending !== undefined && "item" in pending) pending.failed = true;
    this.#settle();
    void this.#session.fail(error);
  }

  /** Hands on the folders and links that wait for no file before them, and forgets the files that failed. */
  #settle(): void {
    for (let { first } = this.#pending; first !== undefined; { first } = this.#pending) {
      if ("kind" in first) this.#handlers.onTree(first);
      else if (!first.failed) return;
      this.#pending.shift();
    }
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

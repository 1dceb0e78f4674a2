import type { FileSystem } from "../file-system.ts";
import { prefixOf } from "../format/bytes.ts";
import { IndexState } from "./index-state.ts";
import { scanToc } from "./live-in-toc.ts";
import type { TocFile } from "./toc-file.ts";

/** Above all prefixes of keys. */
const PREFIXES: number = 2 ** 32;

/** Keys whose first four bytes are a number from `from` on, and below `to`. */
export interface KeyRange {
  readonly from: number;
  readonly to: number;
}

/** Where a table of contents is read from, and how much of it was once valid. */
interface Unread {
  readonly toc: TocFile;
  readonly from: number;
  readonly knownValid: number;
}

/**
 * An index that is only looked at, from its beginning to its end: of what the tables of contents have behind the segments it never
 * holds more than a part at a time, however much that is.
 */
export class AuditState extends IndexState {
  readonly heldMax: number;
  #unread: Unread[] = [];
  /** Entries behind the segments. */
  #entries = 0;
  #isWhole = false;

  constructor(fs: FileSystem, folder: string, heldMax: number) {
    super(fs, folder);
    this.heldMax = heldMax;
  }

  override load(): void {
    this.#unread = [];
    super.load();
  }

  override readTail(toc: TocFile, from = 0, knownValid = 0): void {
    if (this.#isWhole) super.readTail(toc, from, knownValid);
    else this.#unread.push({ toc, from, knownValid });
  }

  /** Reads the tables of contents; rests now and then. Called after each {@link load}. */
  *reading(onLooked: (entries: number) => void): Generator<void> {
    if (this.#isWhole) return;
    // Where MANIFEST was replaced while it was read, all was read once more.
    this.#unread = this.#unread.filter(({ toc }) => this.tocs.get(toc.packId) === toc);
    this.#entries = 0;
    for (const { toc, from, knownValid } of this.#unread) {
      const pieces = toc.pieces(from, knownValid, (bytes, at) => {
        if (this.#entries++ < this.heldMax) this.tail.add(bytes, at);
      });
      let before = this.#entries;
      let step = pieces.next();
      for (; !step.done; step = pieces.next()) {
        onLooked(this.#entries - before);
        before = this.#entries;
        yield;
      }
      for (const one of step.value) this.damage.push(one);
      toc.close();
    }
    if (this.segments.length > 0 || this.damage.length === 0) return;
    // What segments that nobody lists have is compared with all of it.
    this.#isWhole = true;
    this.load();
  }

  /** Takes a part of the keys after the other, in ascending order, into the tail; rests now and then, with undefined. */
  *parts(onLooked: (entries: number) => void): Generator<KeyRange | undefined> {
    const parts = this.#isWhole ? 1 : Math.max(1, Math.ceil(this.#entries / this.heldMax));
    for (let part = 0; part < parts; part++) {
      const range = { from: firstPrefix(part, parts), to: firstPrefix(part + 1, parts) };
      if (parts > 1) yield* this.#holding(range, onLooked);
      yield range;
    }
  }

  *#holding({ from, to }: KeyRange, onLooked: (entries: number) => void): Generator<undefined> {
    this.tail.clear();
    for (const { toc, ...behind } of this.#unread) {
      const { path, packId, position: end } = toc;
      const steps = scanToc(this.fs, { path, packId, end, onLooked, ...behind }, (bytes, at) => {
        const prefix = prefixOf(bytes, at);
        if (prefix >= from && prefix < to) this.tail.add(bytes, at);
      });
      for (const _ of steps) yield undefined;
    }
  }
}

const firstPrefix = (part: number, parts: number): number => Math.ceil((PREFIXES / parts) * part);

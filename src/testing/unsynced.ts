/** A file in memory. */
export interface MemoryFile {
  readonly kind: "file";
  /** Where a symbolic link leads. */
  readonly target?: string | undefined;
  readonly inode: number;
  /** The content is `bytes[0..size)`. The array may be `durable`: whoever writes makes a copy first. */
  bytes: Uint8Array;
  size: number;
  mtimeMs: number;
  /** The content that is safe. Never modified, only replaced. */
  durable: Uint8Array;
  /** Changes were lost: what can be read is not what is safe once all is synced. */
  hasLost?: boolean;
}

export interface MemoryFolder {
  readonly kind: "folder";
  readonly inode: number;
  names: Map<string, MemoryNode>;
  mtimeMs: number;
  /** The names that are safe. */
  durable: Map<string, MemoryNode>;
}

export type MemoryNode = MemoryFile | MemoryFolder;

interface NameEdit {
  readonly folder: MemoryFolder;
  readonly name: string;
  /** Undefined: the name is removed. */
  readonly node: MemoryNode | undefined;
}

/** A change that a power cut may undo by itself: bytes of one page, a size, or names that change together. */
export type UnsyncedChange =
  | { readonly kind: "data"; readonly file: MemoryFile; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "size"; readonly file: MemoryFile; readonly size: number }
  | { readonly kind: "names"; readonly edits: readonly NameEdit[] };

/**
 * The changes since the last syncs. A real file system keeps some of them over a power cut, in an order of its own: any subset
 * may survive, with two limits that all have in common. A rename is there or not there as a whole, and a page holds what it
 * held at one moment.
 */
export class UnsyncedChanges {
  #changes: UnsyncedChange[] = [];
  readonly #pageSize: number;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  get all(): readonly UnsyncedChange[] {
    return this.#changes;
  }

  /** Called when `bytes[from..to)` of a file have been written. */
  written(file: MemoryFile, from: number, to: number, sizeBefore: number): void {
    const page = this.#pageSize;
    const first = from - (from % page);
    const now = file.bytes.slice(first, Math.min(Math.ceil(to / page) * page, file.size));
    for (let at = first; at < to; at += page) {
      const bytes = now.subarray(at - first, at - first + page);
      this.#changes.push({ kind: "data", file, position: at, bytes });
    }
    if (file.size !== sizeBefore) this.#changes.push({ kind: "size", file, size: file.size });
  }

  resized(file: MemoryFile): void {
    this.#changes.push({ kind: "size", file, size: file.size });
  }

  named(...edits: NameEdit[]): void {
    this.#changes.push({ kind: "names", edits });
  }

  /** Makes a file's content durable: what {@link lose} has taken out is not. */
  settleFile(file: MemoryFile): void {
    const { mine = [], others = [] } = Object.groupBy(this.#changes, (change) =>
      change.kind !== "names" && change.file === file ? "mine" : "others",
    );
    if (mine.length === 0) return;
    file.durable = file.hasLost ? this.contentAfter(file, mine) : file.bytes.slice(0, file.size);
    this.#changes = others;
  }

  /**
   * What is left of a failed sync: the changes of the file can be read, and do not reach the disk any more unless they are made
   * once more, though later syncs succeed. So Linux has it.
   */
  lose(file: MemoryFile): void {
    file.hasLost = true;
    this.#changes = this.#changes.filter((change) => change.kind === "names" || change.file !== file);
  }

  /** Makes the names in a folder durable, and with them every earlier change of a name that they build on. */
  settleFolder(folder: MemoryFolder): void {
    const settled = new Set<UnsyncedChange>();
    const needed = new Map<MemoryFolder, Set<string>>();
    for (const change of this.#changes.toReversed()) {
      if (change.kind !== "names") continue;
      const { edits } = change;
      if (!edits.some((edit) => edit.folder === folder || needed.get(edit.folder)?.has(edit.name))) continue;
      settled.add(change);
      for (const edit of edits) {
        const names = needed.get(edit.folder) ?? new Set();
        needed.set(edit.folder, names.add(edit.name));
      }
    }
    for (const change of this.#changes) {
      if (change.kind === "names" && settled.has(change)) edit(change.edits, ({ durable }) => durable);
    }
    this.#changes = this.#changes.filter((change) => !settled.has(change));
  }

  /** A file's content when of its changes only these have reached the disk. */
  contentAfter(file: MemoryFile, changes: readonly UnsyncedChange[]): Uint8Array {
    const ends = changes.map((change) => {
      if (change.kind === "names") return 0;
      return change.kind === "size" ? change.size : change.position + change.bytes.length;
    });
    const bytes = new Uint8Array(ends.reduce((a, b) => Math.max(a, b), file.durable.length));
    bytes.set(file.durable);
    let size = file.durable.length;
    for (const change of changes) {
      if (change.kind === "data") {
        bytes.fill(0, change.position, change.position + this.#pageSize);
        bytes.set(change.bytes, change.position);
      } else if (change.kind === "size") {
        bytes.fill(0, change.size);
        size = change.size;
      }
    }
    return bytes.slice(0, size);
  }
}

/** Applies changes of names to the maps that `of` gives. */
export function edit(edits: readonly NameEdit[], of: (folder: MemoryFolder) => Map<string, MemoryNode>): void {
  for (const { folder, name, node } of edits) {
    if (node === undefined) of(folder).delete(name);
    else of(folder).set(name, node);
  }
}

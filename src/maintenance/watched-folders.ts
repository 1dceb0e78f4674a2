import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { isSettled } from "../store/context.ts";

/** Listing a folder costs as much as asking for a quarter of its names, or less. */
const NAMES_PER_STAT = 4;

interface Folder {
  /** When it had last changed; undefined when that does not tell whether it has changed since. Milliseconds since 1970. */
  mtimeMs: number | undefined;
  /** Objects that were in it. */
  objects: number;
}

/** Tells which loose objects of some folders are deleted by others while they are packed. */
export class WatchedFolders {
  readonly #store: CombinedStore;
  readonly #folders = new Map<string, Folder>();

  constructor(store: CombinedStore) {
    this.#store = store;
  }

  /** Called before objects of one folder are read. */
  enter(keys: readonly ObjectKey[]): void {
    const [first] = keys;
    if (first === undefined) return;
    const prefix = this.#prefixOf(first);
    const known = this.#folders.get(prefix);
    if (known !== undefined) {
      known.objects += keys.length;
      return;
    }
    const mtimeMs = this.#changedAt(prefix);
    // What changes soon after a change may leave the same time.
    const tells = mtimeMs !== undefined && isSettled(mtimeMs);
    this.#folders.set(prefix, { mtimeMs: tells ? mtimeMs : undefined, objects: keys.length });
  }

  /** Forgets all folders but those of these keys. */
  keep(keys: readonly ObjectKey[]): void {
    const kept = new Set(keys.map((key) => this.#prefixOf(key)));
    for (const prefix of this.#folders.keys()) if (!kept.has(prefix)) this.#folders.delete(prefix);
  }

  /** Those of the keys whose files are gone; in folders that have not changed since they were entered, none is. */
  deletedOf(keys: readonly ObjectKey[]): ObjectKey[] {
    const byPrefix = Map.groupBy(keys, (key) => this.#prefixOf(key));
    return [...byPrefix].flatMap(([prefix, some]) => (this.#isUnchanged(prefix) ? [] : this.#missing(prefix, some)));
  }

  #isUnchanged(prefix: string): boolean {
    const folder = this.#folders.get(prefix);
    if (folder?.mtimeMs === undefined) return false;
    if (this.#changedAt(prefix) !== folder.mtimeMs) folder.mtimeMs = undefined;
    return folder.mtimeMs !== undefined;
  }

  #missing(prefix: string, keys: readonly ObjectKey[]): ObjectKey[] {
    const { loose } = this.#store;
    const { objects = Number.POSITIVE_INFINITY } = this.#folders.get(prefix) ?? {};
    if (objects > keys.length * NAMES_PER_STAT) return keys.filter((key) => loose.sizeOf(key) === undefined);
    const there = new Set(loose.namesIn(prefix));
    return keys.filter((key) => !there.has(key.slice(prefix.length)));
  }

  #prefixOf(key: ObjectKey): string {
    return key.slice(0, this.#store.packed.context.config.loosePrefixLen);
  }

  /** When the loose folder of a prefix last changed. */
  #changedAt(prefix: string): number | undefined {
    const { loose, packed } = this.#store;
    return packed.context.fs.stat(loose.folderNamed(prefix))?.mtimeMs;
  }
}

import { dirname } from "node:path";
import { type ErrorCode, isTsdosError, TsdosError } from "../errors.ts";
import type { FileStat } from "../file-system.ts";
import type { LostCopy, LostObject } from "../format/lost-keys.ts";
import { isObjectKey, type ObjectKey } from "../key/object-key.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { collectKeys } from "../store/key-windows.ts";
import { LooseReader } from "../store/loose-reader.ts";
import type { Located } from "../store/read-runs.ts";
import { readsBack, readToEnd } from "../store/read-to-end.ts";
import type { ObjectReader, StoredObject } from "../store/stored-object.ts";
import { isOfOne } from "../store/unreadable.ts";
import { type Finding, LISTED_MAX, ProblemList } from "./findings.ts";
import { printRecords } from "./located-batches.ts";
import { otherCopies } from "./other-copies.ts";
import { findOrUndefined } from "./placed-entries.ts";
import type { Quarantine } from "./quarantine.ts";
import type { RepairOptions } from "./repair-reports.ts";
import { salvageEntry } from "./salvage.ts";

/** Packed copies that are taken back together: each time costs some syncs. */
const BATCH = 1000;

/** Repairs objects, one after the other: by a good copy if there is one, or else by taking them out. For the holder of the packer lock. */
export class ObjectRepair {
  readonly #store: CombinedStore;
  readonly #quarantine: Quarantine;
  readonly #options: RepairOptions;
  /** Keys whose packed copies are to be taken back, and rows of version 1. */
  readonly #toRemove = new Set<ObjectKey>();
  readonly #rows: number[] = [];
  #toList: LostObject[] = [];
  /** What goes to quarantine, under these names, once it is on the list. */
  #toMove: { readonly path: string; readonly name: string; readonly seen: FileStat | undefined }[] = [];
  /** Keys that are lost, and not settled. */
  readonly #lost = new Set<ObjectKey>();
  /** A dry run meets objects that share bytes once more, since nothing is done about them. */
  readonly #overlapping = new Set<ObjectKey>();
  /** The damaged loose copy of which quarantine got a copy last, before a good one took its place. */
  #copiedLoose: { readonly path: string; readonly name: string | undefined } | undefined;
  readonly lostKeys: string[] = [];
  readonly unrepaired: ProblemList = new ProblemList();
  readonly counts = { replaced: 0, moved: 0, adopted: 0, lost: 0 };

  constructor(store: CombinedStore, quarantine: Quarantine, options: RepairOptions) {
    this.#store = store;
    this.#quarantine = quarantine;
    this.#options = options;
  }

  get #dryRun(): boolean {
    return this.#options.dryRun ?? false;
  }

  async repair(finding: Finding): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const { key } = finding;
    if (finding.kind === "row") await this.#repairRow(finding);
    else if (key === undefined) this.unrepaired.add(finding);
    else if (finding.kind === "misplaced") await this.#repairMisplaced(key, finding);
    else if (!this.#isDecided(key)) await this.#repairIfReadable(key, finding);
    if (this.#dryRun && finding.kind === "overlap" && key !== undefined) this.#overlapping.add(key);
    if (this.#toRemove.size + this.#rows.length + this.#toList.length >= BATCH) this.settle();
  }

  #isDecided(key: ObjectKey): boolean {
    return this.#toRemove.has(key) || this.#lost.has(key) || this.#overlapping.has(key);
  }

  /** Does what was put off: lists what is lost, and only then takes it out of its places. */
  settle(): void {
    const { index, context } = this.#store.packed;
    this.#quarantine.addLost(this.#toList);
    // Loose writers go on: what they have stored anew stays, and what they have deleted is gone.
    for (const { path, name, seen } of this.#toMove)
      this.#quarantine.move(path, name, (file) => isSameFile(file, seen));
    if (!this.#dryRun) {
      for (const folder of new Set(this.#toMove.map(({ path }) => dirname(path)))) context.fs.syncDirectory(folder);
      if (this.#toRemove.size > 0) index.remove(collectKeys([...this.#toRemove]), this.#toRemove.size, true);
      if (index instanceof SqliteIndex && this.#rows.length > 0) index.removeRows(this.#rows);
    }
    this.#toList = [];
    this.#toMove = [];
    this.#lost.clear();
    this.#toRemove.clear();
    this.#rows.length = 0;
  }

  /** What of a loose copy cannot be read may be all right: then nothing is taken out, unless there is a good copy. */
  async #repairIfReadable(key: ObjectKey, finding: Finding): Promise<void> {
    try {
      await this.#repairCopies(key, finding);
    } catch (error) {
      if (!isOfOne(error, this.#store.loose.pathOf(key))) throw error;
      this.unrepaired.add(finding);
    }
  }

  async #repairCopies(key: ObjectKey, finding: Finding): Promise<void> {
    const { loose, packed } = this.#store;
    const entry = findOrUndefined(packed, key);
    // Something else than a file is nothing of ours.
    const isLoose = (finding.kind === "loose" ? loose.listedSizeOf(key) : loose.sizeOf(key)) !== undefined;
    const seen = packed.context.fs.stat(loose.pathOf(key));
    if (!isLoose && entry === undefined) return;
    const looseState = isLoose ? await this.#stateOfLoose(key) : undefined;
    if (looseState === "good") {
      if (entry === undefined) return;
      if (!this.#dryRun && !loose.ensureDurable(key)) {
        this.unrepaired.add(finding);
        return;
      }
      this.#toRemove.add(key);
      this.counts.replaced++;
      return;
    }
    // Nothing was done about the loose copy, so it is met again.
    if (this.#dryRun && isLoose && finding.kind === "packed") return;
    const packedState = await this.#stateOf(entry && packed.reader(key, entry, { verify: "hash" }));
    // Of two objects that share bytes, each may be intact.
    if (entry !== undefined && packedState === "good" && finding.kind !== "overlap") {
      if (!isLoose) return;
      if (!this.#dryRun && !packed.ensureDurable(entry)) {
        this.unrepaired.add(finding);
        return;
      }
      this.moveLater(loose.pathOf(key), `${key}.loose`, seen);
      this.counts.replaced++;
      return;
    }
    // Of two objects that share bytes, one gets bytes of its own by this.
    if ((await this.#adoptAny(key)) || (entry !== undefined && (await this.#adoptLike({ key, entry })))) {
      if (entry !== undefined) this.#toRemove.add(key);
    } else if (isLost(finding.error) && ![looseState, packedState].some((state) => state instanceof TsdosError)) {
      this.#lose(key, finding, seen);
    } else {
      // Unreadable for now, or not known to us: the bytes may be all right.
      this.unrepaired.add(finding);
    }
  }

  /** Puts what there is of the object in quarantine. */
  #lose(key: ObjectKey, { error }: Pick<Finding, "error">, seen: FileStat | undefined): void {
    const { loose, packed } = this.#store;
    const copies: LostCopy[] = [];
    if (loose.sizeOf(key) !== undefined) {
      const path = this.#quarantine.relative(loose.pathOf(key));
      copies.push({ where: "loose", path, ...named(this.moveLater(loose.pathOf(key), `${key}.loose`, seen)) });
    }
    const entry = findOrUndefined(packed, key);
    if (entry !== undefined) {
      const { packId, offset, storedSize, rawSize, codec } = entry;
      const path = this.#quarantine.relative(packed.files.pathOf(packId));
      const file = this.#quarantine.copyStored(packed.files, { key, entry });
      copies.push({ where: "packed", path, offset, storedSize, rawSize, codec, ...named(file) });
      this.#toRemove.add(key);
    }
    this.#lost.add(key);
    this.list({ key, at: new Date().toISOString(), reason: error.message, copies });
  }

  /** As {@link list}, for what only a damaged table of contents had, unless there is a copy. */
  async listUnlessFound(lost: LostObject): Promise<void> {
    const { key } = lost;
    // A loose copy is looked at when its turn comes. Where nobody can look, the key must not be forgotten.
    const isFound = isObjectKey(key) && (this.#isLoose(key) || (await this.#adoptAny(key)));
    if (!isFound) this.list(lost);
  }

  #isLoose(key: ObjectKey): boolean {
    return this.#store.loose.sizeIfReadable(key, () => undefined) !== undefined;
  }

  /** Adds to the list of what is lost. */
  list(lost: LostObject): void {
    this.counts.lost++;
    if (lost.key !== undefined && this.lostKeys.length < LISTED_MAX) this.lostKeys.push(lost.key);
    this.#toList.push(lost);
  }

  /**
   * Puts a file in quarantine with the next {@link settle}, unless it is another one by then than was `seen`; returns the name that it
   * will have there.
   */
  moveLater(path: string, wanted: string, seen: FileStat | undefined): string {
    const copied = this.#copiedLoose;
    const name = (copied?.path === path ? copied.name : undefined) ?? this.#quarantine.reserve(wanted);
    this.#toMove.push({ path, name, seen });
    return name;
  }

  /** The error, where it cannot be read. */
  async #stateOfLoose(key: ObjectKey): Promise<"good" | "damaged" | TsdosError> {
    const { loose } = this.#store;
    try {
      return (await this.#isIntact(loose.reader(key, { verify: "hash" }))) ? "good" : "damaged";
    } catch (error) {
      if (isOfOne(error, loose.pathOf(key))) return error;
      throw error;
    }
  }

  async #isIntact(reader: ObjectReader | undefined): Promise<boolean> {
    return reader !== undefined && readsBack(reader, this.#options.signal);
  }

  /** The error, where it cannot be read, or is not known to us: it may be all right. */
  async #stateOf(reader: ObjectReader | undefined): Promise<"good" | "damaged" | TsdosError> {
    try {
      return (await this.#isIntact(reader)) ? "good" : "damaged";
    } catch (error) {
      if (!isOfTheCopy(error)) throw error;
      return isLost(error) ? "damaged" : error;
    }
  }

  async #isReadable(object: StoredObject): Promise<boolean> {
    const read = async (): Promise<boolean> => {
      await readToEnd(object.pieces(), this.#options.signal);
      return true;
    };
    return (await readable(read)) ?? false;
  }

  /** Stores a good copy from wherever there is one; false when there is none. */
  async #adoptAny(key: ObjectKey): Promise<boolean> {
    try {
      return await this.#adoptFromAnywhere(key);
    } catch (error) {
      // There is no way to its place.
      if (isOfOne(error, this.#store.loose.pathOf(key))) return false;
      throw error;
    }
  }

  async #adoptFromAnywhere(key: ObjectKey): Promise<boolean> {
    for (const object of otherCopies(this.#store, key)) {
      if (!(await this.#isReadable(object)) || !(await this.#adopt(key, object))) continue;
      this.counts.replaced++;
      return true;
    }
    return this.#adoptFromOthers(key);
  }

  async #adoptFromOthers(key: ObjectKey): Promise<boolean> {
    for (const other of this.#options.from ?? []) {
      const { signal } = this.#options;
      const object = await readable(() => other.extract(key, { verify: "hash", ...(signal && { signal }) }));
      if (object === undefined || !(await this.#adopt(key, object))) continue;
      this.counts.adopted++;
      return true;
    }
    return false;
  }

  /** Stores the content of a handle as a loose object, verified; false when that is damaged, too, or cannot be read. */
  async #adopt(key: ObjectKey, object: StoredObject): Promise<boolean> {
    const { loose } = this.#store;
    const path = loose.pathOf(key);
    if (loose.mayBe(key) && this.#copiedLoose?.path !== path) {
      this.#copiedLoose = { path, name: this.#copyLoose(path, `${key}.loose`) };
    }
    if (this.#dryRun) return this.#isReadable(object);
    try {
      const stored = await loose.insert(object, { durability: "full", checkExisting: true });
      return stored.key === key;
    } catch (error) {
      // Whatever else fails is the disk that it is written to.
      if (!isTsdosError(error, "SOURCE_FAILED")) throw error;
      if (isTsdosError(error.cause) && !isOfTheCopy(error.cause)) throw error.cause;
      return false;
    }
  }

  /** A file that cannot be read gets a second name in quarantine; where that cannot be, nothing takes its place. */
  #copyLoose(path: string, wanted: string): string | undefined {
    try {
      return this.#quarantine.copy(path, wanted);
    } catch (error) {
      if (!isOfOne(error, path)) throw error;
      try {
        return this.#quarantine.link(path, wanted);
      } catch {
        throw error;
      }
    }
  }

  /** Once more for an object that was lost earlier: true when it is there again. */
  async recover(key: string | undefined): Promise<boolean> {
    this.#options.signal?.throwIfAborted();
    if (!isObjectKey(key)) return false;
    if (this.#isLoose(key) || findOrUndefined(this.#store.packed, key) !== undefined) return true;
    return this.#adoptAny(key);
  }

  async #repairMisplaced(key: ObjectKey, { error }: Finding): Promise<void> {
    const { loose, packed } = this.#store;
    const { fs } = packed.context;
    const { path = "" } = error.details;
    const seen = fs.stat(path);
    if (seen === undefined || loose.mayBe(key) || findOrUndefined(packed, key) !== undefined) return;
    const reader = new LooseReader(fs, { key, path, rawSize: seen.size }, "hash");
    if ((await this.#stateOf(reader)) === "good") {
      this.counts.moved++;
      if (this.#dryRun) return;
      loose.folders.make(key);
      fs.rename(path, loose.pathOf(key));
      loose.ensureDurable(key);
      fs.syncDirectory(dirname(path));
    } else {
      const isFound = await this.#adoptAny(key);
      const file = this.moveLater(path, `${key}.loose`, seen);
      if (isFound) return;
      const copies = [{ where: "loose", path: this.#quarantine.relative(path), ...named(file) }] as const;
      this.list({ key, at: new Date().toISOString(), reason: error.message, copies });
    }
  }

  /** Version 1: where an object stands that is intact, and of which only the key is damaged a little, it gets its own key. */
  async #adoptLike({ key, entry }: Located): Promise<boolean> {
    const { loose, packed } = this.#store;
    if (!(packed.index instanceof SqliteIndex)) return false;
    const found = await readable(() =>
      salvageEntry(packed.files, entry.packId, printRecords([{ key, entry }]), undefined),
    );
    if (found === undefined) return false;
    if (loose.sizeOf(found.key) !== undefined || findOrUndefined(packed, found.key) !== undefined) return true;
    const reader = packed.reader(found.key, found.entry, { verify: "hash" });
    if (!(await this.#adopt(found.key, packed.object(found.key, reader, {})))) return false;
    this.counts.replaced++;
    return true;
  }

  /** Version 1: a row that cannot be right goes; where its object is, nobody can tell. */
  async #repairRow({ key, error, rowId, like }: Finding): Promise<void> {
    this.#rows.push(rowId as number);
    if (like !== undefined && (await this.#adoptLike(like))) return;
    if ((key !== undefined && this.#isLoose(key)) || (key !== undefined && (await this.#adoptAny(key)))) return;
    this.list({ ...(key && { key }), at: new Date().toISOString(), reason: error.message, copies: [] });
  }
}

function isLost({ code }: TsdosError): boolean {
  return ["CORRUPT_OBJECT", "CORRUPT_INDEX", "NOT_FOUND"].includes(code);
}

function isSameFile(one: FileStat | undefined, other: FileStat | undefined): boolean {
  return one !== undefined && one.inode === other?.inode && one.size === other.size && one.mtimeMs === other.mtimeMs;
}

function named(file: string | undefined): { readonly quarantined?: string } {
  return file === undefined ? {} : { quarantined: file };
}

/** Errors that say that a copy cannot be had, and nothing of where it is to go. */
const NOT_HAD: readonly ErrorCode[] = [
  "CORRUPT_OBJECT",
  "CORRUPT_INDEX",
  "NOT_FOUND",
  "SOURCE_FAILED",
  "UNSUPPORTED_CODEC",
];

/** True for an error of reading which says that just this copy cannot be had: others may be. */
function isOfTheCopy(error: unknown): error is TsdosError {
  return isTsdosError(error) && (NOT_HAD.includes(error.code) || isOfOne(error, error.details.path ?? ""));
}

async function readable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isOfTheCopy(error)) return undefined;
    throw error;
  }
}

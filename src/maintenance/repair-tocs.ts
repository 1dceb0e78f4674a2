import { isTsdosError } from "../errors.ts";
import {
  ENTRY_SIZE,
  FLAG_TOMBSTONE,
  isTombstone,
  isValidTocEntry,
  type PackEntry,
  readRecord,
  recordKey,
  recordPackId,
  tocEntryToRecord,
} from "../format/entry.ts";
import { INDEX_FOLDER, repairedTocName, tocFileName } from "../format/paths.ts";
import { printTocHeader, type TocHeader } from "../format/toc-header.ts";
import { isObjectKey, type ObjectKey } from "../key/object-key.ts";
import { readManifest, replaceManifest } from "../pack-index/manifest-file.ts";
import { readTocHeader } from "../pack-index/toc-file.ts";
import { inSteps } from "../store/context.ts";
import type { PackedStore } from "../store/packed-store.ts";
import { EntryWriter } from "./entry-writer.ts";
import { printRecords } from "./located-batches.ts";
import { findOrUndefined } from "./placed-entries.ts";
import type { Quarantine } from "./quarantine.ts";
import type { ObjectRepair } from "./repair-objects.ts";
import { type Gap, salvageEntry } from "./salvage.ts";
import { type Slot, slotsOf } from "./toc-slots.ts";

/** Entries that are held at once to be compared with the index. */
const COMPARED_MAX = 200_000;

interface Place {
  readonly key: ObjectKey;
  /** In the pack. */
  readonly offset: number;
}

/** What waits for the next object, which tells where a damaged one ends: tombstones, too, since they take back only what stands before them. */
interface WaitingSlot {
  readonly slot: Slot;
  readonly isDamaged: boolean;
}

/** Repairs the tables of contents and the index of version 2. For the holder of the packer lock. */
export class TocRepair {
  readonly #packed: PackedStore;
  readonly #quarantine: Quarantine;
  readonly #objects: ObjectRepair;
  readonly #dryRun: boolean;
  /** The places of the entries of the current table of contents that the index had when their turn came. */
  readonly #restored = new Set<string>();
  readonly counts = { rewrittenTocs: 0, recoveredEntries: 0, indexRebuilt: false };

  constructor(packed: PackedStore, quarantine: Quarantine, objects: ObjectRepair, dryRun: boolean) {
    this.#packed = packed;
    this.#quarantine = quarantine;
    this.#objects = objects;
    this.#dryRun = dryRun;
  }

  /** Writes the tables of contents of these packs anew, and makes the index anew from all. */
  async repair(packIds: readonly number[]): Promise<void> {
    for (const packId of packIds) await this.#rewrite(packId);
    this.counts.rewrittenTocs = packIds.length;
    this.counts.indexRebuilt = true;
    if (this.#dryRun) return;
    this.#forgetManifest(packIds);
    await inSteps(this.#packed.index.rebuilding(true));
  }

  /** MANIFEST's segments are not used any more, nor its word on the files that were written anew. */
  #forgetManifest(packIds: readonly number[]): void {
    const { fs } = this.#packed.context;
    const folder = `${this.#packed.files.folder}/${INDEX_FOLDER}`;
    fs.makeDirectory(folder);
    const { manifest } = readManifest(fs, folder);
    const valid = new Map([...manifest.valid].filter(([packId]) => !packIds.includes(packId)));
    const generation = manifest.generation + 1;
    replaceManifest(
      fs,
      folder,
      { ...manifest, generation, segments: [], covered: new Map(), valid, damaged: [], retired: [] },
      true,
    );
  }

  /**
   * Writes a table of contents anew: the valid entries where they were, between them the damaged ones that can be told from the pack,
   * and behind them those that only the index still has.
   */
  async #rewrite(packId: number): Promise<void> {
    const { context, files } = this.#packed;
    const { fs } = context;
    const path = `${files.folder}/${tocFileName(packId)}`;
    this.#quarantine.copy(path);
    this.#restored.clear();
    const file = fs.openIfExists(path);
    // Beside the old one: the packs may be on a file system of their own. If this is interrupted, `clean` removes it.
    const temporary = `${files.folder}/${repairedTocName(packId)}`;
    const writer = new EntryWriter(this.#dryRun ? undefined : temporary, fs);
    try {
      const size = file === undefined ? 0 : fs.size(file);
      const header = file === undefined ? undefined : readTocHeader(fs, file, size);
      const own = header?.packId === packId ? header : undefined;
      writer.begin(printTocHeader(this.#headerOf(packId, own)));
      const from = own === undefined ? ENTRY_SIZE : printTocHeader(own).length;
      const end = size - (size % ENTRY_SIZE);
      const slots = (): Iterable<Slot> => (file === undefined ? [] : slotsOf(fs, file, from, end));
      const compared = await this.#copyEntries(packId, slots(), writer);
      this.#addFromIndex(packId, compared, slots, writer);
      writer.finish();
    } finally {
      if (file !== undefined) fs.close(file);
      writer.close();
    }
    if (file === undefined && writer.entries === 0) this.#quarantinePack(packId);
    else this.#listCut(packId, fs.stat(path)?.size ?? 0, writer.packEnd);
    // What is lost is listed before nothing tells of it any more.
    this.#objects.settle();
    if (this.#dryRun) return;
    fs.rename(temporary, path);
    fs.syncDirectory(files.folder);
  }

  /** What it replaced and is still there is needed again: what is damaged here may be intact there. */
  #headerOf(packId: number, own: TocHeader | undefined): TocHeader {
    const { context, files } = this.#packed;
    if (own === undefined) return { containerId: context.config.containerId, packId, sealed: false, replaces: [] };
    const isGone = (id: number): boolean => context.fs.stat(`${files.folder}/${tocFileName(id)}`) === undefined;
    return { ...own, replaces: own.replaces.filter(isGone) };
  }

  /**
   * Entries that are cut off, and that no segment has: nobody knows their keys any more. How many were behind those that MANIFEST
   * knows of, nobody knows either: their objects stand behind `packEnd`.
   */
  #listCut(packId: number, size: number, packEnd: number): void {
    const { context, files } = this.#packed;
    const { covered, valid } = readManifest(context.fs, `${files.folder}/${INDEX_FOLDER}`).manifest;
    const known = Math.max(size, covered.get(packId) ?? 0, ENTRY_SIZE);
    const missing = Math.max(0, Math.ceil(((valid.get(packId) ?? 0) - known) / ENTRY_SIZE));
    const isCut = size < (valid.get(packId) ?? ENTRY_SIZE);
    const isBehind = isCut && packEnd < (files.sizeOf(packId) ?? 0);
    if (missing === 0 && !isBehind) return;
    const count = isBehind ? `${missing} or more` : missing;
    const reason =
      `${files.folder}/${tocFileName(packId)} is cut at byte ${size}: its last entries (${count}) are lost, and with them the keys; ` +
      `bytes of ${files.pathOf(packId)} that no entry refers to may be theirs, until it is repacked`;
    this.#objects.list({ at: new Date().toISOString(), reason, copies: [] });
  }

  /** Returns how many valid entries there were. */
  async #copyEntries(packId: number, slots: Iterable<Slot>, writer: EntryWriter): Promise<number> {
    const packSize = this.#packed.files.sizeOf(packId) ?? 0;
    let valid = 0;
    let end = 0;
    let waiting: WaitingSlot[] = [];
    const settle = async (next: number): Promise<void> => {
      // Of several in a row, nobody knows where one ends and the next begins.
      const isAlone = waiting.filter(({ isDamaged }) => isDamaged).length === 1;
      const gap = isAlone && next >= end ? { start: end, end: next } : undefined;
      for (const { slot, isDamaged } of waiting) {
        if (isDamaged) await this.#salvage(packId, slot, gap, writer);
        else writer.add(slot.bytes, slot.at);
      }
      waiting = [];
    };
    for (const slot of slots) {
      const isDamaged = !isValidTocEntry(slot.bytes, 0);
      if (isDamaged && slot.bytes.every((byte) => byte === 0)) continue;
      if (!isDamaged) {
        tocEntryToRecord(slot.bytes, 0, packId);
        valid++;
      }
      if (isDamaged || isTombstone(slot.bytes, 0)) {
        if (waiting.length === COMPARED_MAX) await settle(end);
        waiting.push({ slot, isDamaged });
        continue;
      }
      const { offset, storedSize } = readRecord(slot.bytes, 0);
      await settle(offset);
      end = Math.max(end, offset + storedSize);
      writer.add(slot.bytes, slot.at);
    }
    await settle(packSize);
    return valid;
  }

  async #salvage(packId: number, { bytes, at }: Slot, gap: Gap | undefined, writer: EntryWriter): Promise<void> {
    const key = recordKey(bytes, 0) as ObjectKey;
    if (this.#restore(packId, { key, offset: readRecord(bytes, 0).offset }, at, writer)) return;
    const found = await salvageEntry(this.#packed.files, packId, bytes, gap);
    if (found !== undefined) {
      const { key: foundKey, entry } = found;
      if (this.#restore(packId, { key: foundKey, offset: entry.offset }, at, writer)) return;
      if (findOrUndefined(this.#packed, foundKey) !== undefined) return;
      writer.add(printRecords([found]), at);
      this.counts.recoveredEntries++;
      return;
    }
    if (findOrUndefined(this.#packed, key) !== undefined) return;
    const fields = readRecord(bytes, 0);
    // A deletion that is lost leaves an object more, not less.
    if (isLikeTombstone(fields)) return;
    const { offset, storedSize, rawSize, codec } = fields;
    const { files } = this.#packed;
    const reason = `the entry at byte ${at} of ${files.folder}/${tocFileName(packId)} is damaged, the key perhaps, too`;
    const path = this.#quarantine.relative(files.pathOf(packId));
    const copies = [{ where: "packed", path, offset, storedSize, rawSize, codec }] as const;
    const now = new Date().toISOString();
    await this.#objects.listUnlessFound({ ...(isObjectKey(key) && { key }), at: now, reason, copies });
  }

  /**
   * Takes what the index has of this place: now, and not with all that only the index has, since that may turn out to be damaged
   * elsewhere, and be done without. False when it has nothing.
   */
  #restore(packId: number, { key, offset }: Place, at: number, writer: EntryWriter): boolean {
    const entry = findOrUndefined(this.#packed, key);
    if (entry?.packId !== packId || entry.offset !== offset || this.#restored.size >= COMPARED_MAX) return false;
    const record = printRecords([{ key, entry }]);
    writer.add(record, at);
    this.#restored.add(placeOf(record, 0));
    this.counts.recoveredEntries++;
    return true;
  }

  /** Adds what the index has of this pack and the table of contents has not: a part of the keys after the other. */
  #addFromIndex(packId: number, count: number, slots: () => Iterable<Slot>, writer: EntryWriter): void {
    const { index } = this.#packed;
    const parts = Math.max(1, Math.ceil(count / COMPARED_MAX));
    const partOf = (bytes: Uint8Array, at: number): number =>
      ((bytes[at + 16] as number) * 256 + (bytes[at + 17] as number)) % parts;
    for (let part = 0; part < parts; part++) {
      const known = new Set<string>();
      for (const { bytes } of slots()) {
        if (isValidTocEntry(bytes, 0) && partOf(bytes, 0) === part) known.add(placeOf(bytes, 0));
      }
      try {
        for (const batch of index.batches()) {
          const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
          for (let at = 0; at < batch.count * ENTRY_SIZE; at += ENTRY_SIZE) {
            if (recordPackId(bytes, at) !== packId || partOf(bytes, at) !== part) continue;
            if (known.has(placeOf(bytes, at)) || this.#restored.has(placeOf(bytes, at))) continue;
            writer.add(Buffer.from(bytes.subarray(at, at + ENTRY_SIZE)));
            this.counts.recoveredEntries++;
          }
        }
      } catch (error) {
        // At the end of its list, the index says that damage may have hidden something: that is why we are here.
        if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
      }
    }
  }

  /** Bytes of which nobody knows where an object begins: they would be taken for dead ones. */
  #quarantinePack(packId: number): void {
    const { files, context } = this.#packed;
    const size = files.sizeOf(packId) ?? 0;
    if (size === 0) return;
    const path = files.pathOf(packId);
    const quarantined = this.#objects.moveLater(path, `${packId}.pack`, context.fs.stat(path));
    const reason = `the table of contents of ${path} is lost: its objects cannot be found, nor can their keys be told`;
    const copy = { where: "packed", path: this.#quarantine.relative(path), offset: 0, storedSize: size } as const;
    const copies = [{ ...copy, quarantined }];
    this.#objects.list({ at: new Date().toISOString(), reason, copies });
  }
}

/** By most of its fields: its flags may be damaged, or only look like those of one. */
function isLikeTombstone({ flags, offset, storedSize, rawSize, checksum }: PackEntry): boolean {
  const zeros = [offset, storedSize, rawSize, checksum].filter((field) => field === 0).length;
  return zeros >= 3 && ((flags & FLAG_TOMBSTONE) !== 0 || offset === 0);
}

function placeOf(bytes: Buffer, at: number): string {
  return `${recordKey(bytes, at)}${readRecord(bytes, at).offset}`;
}

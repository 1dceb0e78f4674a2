import { copyMemory } from "../copy-memory.ts";
import { TsdosError } from "../errors.ts";
import { crc32Of } from "../format/crc32.ts";
import { ENTRY_SIZE, FLAG_NO_CHECKSUM, type PackEntry, writeRecord } from "../format/entry.ts";
import { LEGACY_REPACK_ID, MAX_PACK_ID } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { MemoryIndex } from "../pack-index/memory-index.ts";
import type { PackIndex } from "../pack-index/pack-index.ts";
import { syncOrSuspect } from "../pack-index/sync-or-suspect.ts";
import { type StoreContext, withoutRemovals } from "./context.ts";
import { knownEntry } from "./known-entry.ts";
import type { PackFiles } from "./pack-files.ts";
import type { PackerLock } from "./packer-lock.ts";
import { WriteBehind } from "./write-behind.ts";

/** Stored bytes are gathered to writes of this size. */
const BUFFER_SIZE = 1024 ** 2;
/** Until more is gathered, which most writers never do: each would leave a MiB to the garbage collector. */
const FIRST_BUFFER_SIZE = 64 * 1024;
/** Larger pieces go to the file directly. */
const DIRECT_SIZE = 128 * 1024;

/** Milliseconds; what disk-objectstore does with pack -1 after it was written takes seconds. */
const REPACK_MAX_MS = 3_600_000;

/** What a pack writer works on. */
export interface PackWriting {
  readonly context: StoreContext;
  readonly files: PackFiles;
  readonly index: Pick<PackIndex, "get" | "commit" | "isSealed" | "isSuspect">;
  readonly lock: PackerLock;
  /** Makes an object that is there durable; false when that cannot be. */
  readonly ensureDurable: (entry: PackEntry) => boolean;
  /** Packs whose names in the folder are durable, with the inodes that they lead to: in version 1, others put new files in their place. */
  readonly namedDurably: Map<number, number | undefined>;
  /** Packs of which a sync failed. */
  readonly suspect: Set<number>;
  /** Everything goes to this pack, which is new, however large it becomes. */
  readonly into?: number;
}

/** How the stored bytes of an object were made. */
export type Stored = Pick<PackEntry, "rawSize" | "storedSize" | "codec" | "checksum"> & {
  /** Which checksum it is; default a CRC-32. */
  readonly flags?: number;
};

/**
 * Appends objects to packs. Belongs to the holder of the packer lock; nothing is visible before `commit`, which
 * makes bytes durable first and entries second (I3).
 */
export class PackWriter {
  readonly #shared: PackWriting;
  readonly #sync: boolean;
  readonly #behind: WriteBehind | undefined;
  #buffer = copyMemory(FIRST_BUFFER_SIZE);
  #buffered = 0;
  #packId = -1;
  #file: number | undefined;
  #inode: number | undefined;
  /** The repack that went on when our pack was made: it leaves new packs alone. */
  #besideRepack: number | undefined;
  #closed = false;
  /** The end of the pack, with what is buffered. */
  #end = 0;
  /** The end at the last commit; what stands behind it, or was only begun then, can be taken back. */
  #committed = 0;
  /** Where the object starts that was begun, until it is finished. */
  #begun: number | undefined;
  /** How far the pack may reach by our hand. */
  #reach = 0;
  readonly #pending = new MemoryIndex();
  readonly #record = Buffer.alloc(ENTRY_SIZE);

  constructor(shared: PackWriting, sync: boolean) {
    this.#shared = shared;
    this.#sync = sync;
    this.#behind = sync ? new WriteBehind(shared.context.fs) : undefined;
  }

  /** Objects that were added and not committed. */
  get uncommitted(): number {
    return this.#pending.count;
  }

  /** Asked right before entries are written: which of the objects that were added must not become visible after all. */
  withheld: (() => readonly ObjectKey[]) | undefined;

  /** Stored bytes of all objects that this writer has added. */
  storedTotal = 0;

  /** Bytes that were added and not committed. */
  get uncommittedBytes(): number {
    return this.#end - this.#committed;
  }

  /**
   * True when the key is committed, as durably as asked, or waits for the commit. Sees all commits: only the holder of the lock
   * makes any.
   */
  has(key: ObjectKey): boolean {
    this.#refuseClosed();
    this.#record.write(key, 0, "hex");
    if (this.#pending.newest(this.#record, 0) >= 0) return true;
    const entry = knownEntry(this.#shared.index, this.#record, 0);
    return entry !== undefined && (!this.#sync || this.#shared.ensureDurable(entry));
  }

  /** Adds an object whose stored bytes are in memory. */
  add(key: ObjectKey, bytes: Uint8Array, rawSize: number, codec: number): void {
    this.begin();
    const stored = { rawSize, storedSize: bytes.length, codec, checksum: crc32Of(bytes) };
    this.append(bytes);
    this.finish(key, stored);
  }

  /** Starts an object: opens the pack, or a new one when the last has reached its target size. Returns where the object starts. */
  begin(): number {
    this.#refuseClosed();
    const target =
      this.#shared.into === undefined ? this.#shared.context.config.packSizeTarget : Number.POSITIVE_INFINITY;
    if (this.#file !== undefined && this.#end >= target) {
      this.commit();
      this.#leave();
    }
    if (this.#file === undefined) this.#enter();
    this.#begun = this.#end;
    return this.#end;
  }

  /** Appends stored bytes of the object that was begun. */
  append(bytes: Uint8Array): void {
    this.#refuseClosed();
    if (this.#buffered + bytes.length > BUFFER_SIZE || bytes.length > DIRECT_SIZE) this.flush();
    if (bytes.length > DIRECT_SIZE) {
      this.#write(bytes, bytes.length, this.#end);
    } else {
      if (this.#buffered + bytes.length > this.#buffer.length) this.#enlargeBuffer();
      this.#buffer.set(bytes, this.#buffered);
      this.#buffered += bytes.length;
    }
    this.#end += bytes.length;
  }

  #enlargeBuffer(): void {
    const buffer = copyMemory(BUFFER_SIZE);
    buffer.set(this.#buffer.subarray(0, this.#buffered));
    this.#buffer = buffer;
  }

  get packId(): number {
    return this.#packId;
  }

  get formatVersion(): 1 | 2 {
    return this.#shared.context.config.containerVersion;
  }

  get files(): PackFiles {
    return this.#shared.files;
  }

  /** Moves the last `size` bytes of the object that was begun to `start`, over what stands there. */
  moveBack(start: number, size: number): void {
    this.#refuseClosed();
    const { fs } = this.#shared.context;
    const file = this.#file as number;
    this.flush();
    this.#keep();
    if (size > this.#buffer.length) this.#enlargeBuffer();
    const from = this.#end - size;
    for (let done = 0; done < size; ) {
      const length = fs.read(file, this.#buffer, 0, Math.min(this.#buffer.length, size - done), from + done);
      if (length === 0) throw this.#cutByOthers();
      fs.write(file, this.#buffer, 0, length, start + done);
      done += length;
    }
    this.rollback(start + size);
  }

  #cutByOthers(): TsdosError {
    const path = this.#shared.files.pathOf(this.#packId);
    return new TsdosError("IO_ERROR", `another program has cut ${path} while it was written; run validate`, { path });
  }

  /** Takes back the object that was begun at `start`. */
  rollback(start: number): void {
    // What others have appended is not cut off.
    if (this.#closed || this.#committed === Number.POSITIVE_INFINITY) return;
    if (start === this.#begun) this.#begun = undefined;
    const flushedEnd = this.#end - this.#buffered;
    if (start >= flushedEnd) {
      this.#buffered = start - flushedEnd;
    } else {
      this.#buffered = 0;
      this.#keep();
      this.#shared.context.fs.truncate(this.#file as number, start);
      this.#reach = start;
    }
    this.#end = start;
  }

  /** Ends the object that was begun: its stored bytes are the last `storedSize` ones. */
  finish(key: ObjectKey, stored: Stored): void {
    this.#refuseClosed();
    this.#record.write(key, 0, "hex");
    writeRecord(this.#record, 0, {
      packId: this.#packId,
      offset: this.#end - stored.storedSize,
      storedSize: stored.storedSize,
      rawSize: stored.rawSize,
      codec: stored.codec,
      flags: this.formatVersion === 1 ? FLAG_NO_CHECKSUM : (stored.flags ?? 0),
      dictionaryId: 0,
      checksum: stored.checksum,
    });
    this.#begun = undefined;
    this.#pending.add(this.#record, 0);
    this.storedTotal += stored.storedSize;
  }

  /** Makes everything added so far visible, and as durable as asked; not what was only begun. */
  commit(): void {
    this.#refuseClosed();
    const { context, files, index, namedDurably, suspect } = this.#shared;
    if (this.#pending.count > 0) {
      this.flush();
      if (this.#sync) {
        const isNamed = namedDurably.has(this.#packId) && namedDurably.get(this.#packId) === this.#inode;
        syncOrSuspect(suspect, this.#packId, () => {
          context.fs.sync(this.#file as number);
          if (!isNamed) context.fs.syncDirectory(files.folder);
        });
        namedDurably.set(this.#packId, this.#inode);
      }
      // From here on the bytes stay: if the index fails half-way, it may have entries that point to them.
      this.#committed = this.#begun ?? this.#end;
      const isShared = context.config.containerVersion === 1;
      const check = isShared ? (): void => this.#refuseDisturbed() : undefined;
      const { withheld } = this;
      if (withheld === undefined) index.commit(this.#packId, this.#pending.without([]), this.#sync, check);
      else
        withoutRemovals(context, () =>
          index.commit(this.#packId, this.#pending.without(withheld()), this.#sync, check),
        );
      this.#pending.clear();
    }
  }

  /**
   * Version 1: a repack by disk-objectstore puts another file in a pack's place without locking it, and rsdos appends to packs.
   * Entries of ours would point to bytes of others. Called when nobody else can commit: a repack that has pack -1 now will
   * remove our pack, one that has not made it yet will see our entries.
   */
  #refuseDisturbed(): void {
    const { context, files } = this.#shared;
    const path = files.pathOf(this.#packId);
    const stat = context.fs.stat(path);
    const isOurs = stat !== undefined && stat.inode === this.#inode && stat.size === this.#end;
    const repack = this.#repack();
    if (isOurs && (repack === undefined || repack === this.#besideRepack)) return;
    // What others have appended is not cut off.
    this.#committed = Number.POSITIVE_INFINITY;
    throw this.#disturbed();
  }

  #disturbed(): TsdosError {
    const path = this.#shared.files.pathOf(this.#packId);
    const message = `another program rewrites or extends ${path}; the objects that waited for their commit are not stored, add them again when it has finished`;
    return new TsdosError("LOCKED", message, { path });
  }

  /** The inode of pack -1, while a repack by disk-objectstore goes on; one that was interrupted long ago does not count. */
  #repack(): number | undefined {
    const { context, files } = this.#shared;
    if (context.config.containerVersion !== 1) return undefined;
    const stat = context.fs.stat(files.pathOf(LEGACY_REPACK_ID));
    return stat !== undefined && stat.mtimeMs > Date.now() - REPACK_MAX_MS ? stat.inode : undefined;
  }

  #refuseClosed(): void {
    const { folder } = this.#shared.files;
    if (this.#closed)
      throw new TsdosError("CLOSED", `the container was closed while objects were added to ${folder}`, {
        path: folder,
      });
  }

  /** Ends the writer: takes back what was not committed, and gives the lock back. Any further use but this one throws `CLOSED`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { lock } = this.#shared;
    try {
      if (this.#file !== undefined) this.#takeBackAll(this.#file);
    } finally {
      lock.release();
    }
  }

  #takeBackAll(file: number): void {
    const { fs } = this.#shared.context;
    try {
      if (fs.size(file) <= this.#committed) return;
      this.#keep();
      fs.truncate(file, this.#committed);
    } finally {
      this.#leave();
    }
  }

  #enter(): void {
    const { context, files, index, lock, suspect, into } = this.#shared;
    const last = into === undefined ? this.#lastPack() : into - 1;
    const target = context.config.packSizeTarget;
    this.#besideRepack = this.#repack();
    const isSuspect = suspect.has(last) || index.isSuspect(last);
    const isOpen = (): boolean => !isSuspect && !index.isSealed(last) && (files.sizeOf(last) ?? target) < target;
    const isFull = into !== undefined || last < 0 || this.#besideRepack !== undefined || !isOpen();
    const packId = into ?? (isFull ? last + 1 : last);
    if (packId > MAX_PACK_ID)
      throw new TsdosError("NO_SPACE", `there are no more pack ids after ${last}`, { path: files.folder });
    lock.enterPack(packId);
    try {
      if (isFull) context.fs.makeDirectory(files.folder);
      // Before the pack: one that is not empty and has no table of contents has lost it. So no number is left out, either: readers
      // look for the next one only. Version 1: rsdos knows no lock, but extends packs within transactions: this waits for their end.
      // (It does not begin while a lock of ours is there: it takes that for a pack, and fails.)
      if (isFull || this.formatVersion === 1) index.commit(packId, { bytes: new Uint8Array(), count: 0 }, this.#sync);
      this.#openPack(packId);
    } catch (error) {
      // What there is of the new pack is found in the folder.
      this.#packId = -1;
      lock.leavePack();
      throw error;
    }
  }

  /** The folder is listed once for a writer, and not for each pack: in version 2, only the holder of the lock makes packs. */
  #lastPack(): number {
    return this.#packId >= 0 && this.formatVersion === 2 ? this.#packId : (this.#shared.files.ids().at(-1) ?? -1);
  }

  #openPack(packId: number): void {
    const { context, files } = this.#shared;
    const file = context.fs.open(files.pathOf(packId), "update");
    try {
      this.#end = context.fs.size(file);
      this.#inode = context.fs.stat(files.pathOf(packId))?.inode;
    } catch (error) {
      context.fs.close(file);
      throw error;
    }
    // Only now: what is behind `#committed` is cut at the end.
    this.#committed = this.#end;
    this.#reach = this.#end;
    this.#packId = packId;
    this.#file = file;
  }

  #leave(): void {
    const file = this.#file as number;
    this.#file = undefined;
    try {
      this.#shared.context.fs.close(file);
    } finally {
      this.#shared.lock.leavePack();
    }
  }

  /** Refuses to write where another program writes now; what that has appended is not cut off. */
  #keep(): void {
    try {
      this.#shared.lock.keepPack();
      const size = this.formatVersion === 1 ? this.#shared.context.fs.size(this.#file as number) : 0;
      if (size > this.#reach) throw this.#disturbed();
    } catch (error) {
      this.#committed = Number.POSITIVE_INFINITY;
      throw error;
    }
  }

  /** Hands what is buffered to the operating system. */
  flush(): void {
    if (this.#buffered === 0) return;
    this.#write(this.#buffer, this.#buffered, this.#end - this.#buffered);
    this.#buffered = 0;
  }

  #write(bytes: Uint8Array, length: number, position: number): void {
    this.#keep();
    const file = this.#file as number;
    this.#reach = Math.max(this.#reach, position + length);
    this.#shared.context.fs.write(file, bytes, 0, length, position);
    this.#behind?.wrote(file, position, position + length);
  }
}

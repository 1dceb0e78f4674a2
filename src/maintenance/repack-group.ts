import { isTsdosError, TsdosError } from "../errors.ts";
import { codecIds, codecName, type PackEntry } from "../format/entry.ts";
import type { Replacement } from "../pack-index/repacking.ts";
import type { Compressing } from "../store/compressing.ts";
import { Pacer } from "../store/context.ts";
import { copyStored } from "../store/copy-stored.ts";
import { corruptObject } from "../store/corruption.ts";
import { EncodedAdder } from "../store/encoded-adder.ts";
import { addLarge } from "../store/large-object.ts";
import type { PackWriter } from "../store/pack-writer.ts";
import type { PackedReader } from "../store/packed-reader.ts";
import type { PackedStore } from "../store/packed-store.ts";
import type { PackerLock } from "../store/packer-lock.ts";
import type { Located } from "../store/read-runs.ts";
import { readsBack, readToEnd } from "../store/read-to-end.ts";
import { removePacks } from "../store/repack-leftovers.ts";
import { replacementWriter } from "../store/replacement-writer.ts";
import { SMALL_MAX } from "../store/source.ts";
import { locatedIn } from "./located-batches.ts";
import type { PackGroup, PackUse, SkippedPack } from "./repack-plan.ts";

/** Objects and bytes that are moved, read back and verified, before more are. */
const CHECK_OBJECTS = 4096;
const CHECK_BYTES: number = 64 * 1024 ** 2;

export interface Moving {
  readonly compressing: Compressing;
  /** Objects that are compressed with the wanted codec already are compressed anew. */
  readonly anew: boolean;
  readonly verifyHash: boolean;
  /** How many threads compress, with the caller's own. */
  readonly threads: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called when objects were moved. */
  readonly onMoved: (objects: number, rawBytes: number) => void;
}

export interface MovedGroup {
  /** Packs whose place the new one has taken. */
  readonly replaced: readonly PackUse[];
  readonly skipped: readonly SkippedPack[];
  readonly objects: number;
  readonly rawBytes: number;
  /** Bytes of the new pack. */
  readonly bytes: number;
}

/** The new pack. */
interface Target {
  readonly writer: PackWriter;
  /** For small objects that are compressed. */
  readonly adder: EncodedAdder;
  readonly replacement: Replacement;
}

/**
 * Writes what is needed of each group of packs to a new pack, which takes their place, and then removes what was replaced. A pack
 * with an object that cannot be moved keeps its place, and nothing of it is moved. For the holder of the lock.
 */
export async function replaceRound(
  packed: PackedStore,
  lock: PackerLock,
  round: readonly PackGroup[],
  moving: Moving,
): Promise<MovedGroup[]> {
  let entered = 0;
  try {
    for (const { packId } of round.flat()) {
      lock.enterPack(packId);
      entered++;
    }
    return await new RoundMover(packed, lock, moving).move(round);
  } finally {
    for (; entered > 0; entered--) lock.leavePack();
  }
}

class RoundMover {
  readonly #packed: PackedStore;
  readonly #lock: PackerLock;
  readonly #moving: Moving;
  readonly #pacer = new Pacer();
  /** What was committed to the new pack, and not verified. */
  #fresh: Located[] = [];
  #objects = 0;
  #rawBytes = 0;
  /** The index files do not tell yet what was replaced. */
  #isUnsettled = false;

  constructor(packed: PackedStore, lock: PackerLock, moving: Moving) {
    this.#packed = packed;
    this.#lock = lock;
    this.#moving = moving;
  }

  async move(round: readonly PackGroup[]): Promise<MovedGroup[]> {
    const old = round.flat();
    const all: MovedGroup[] = [];
    let packId = this.#nextPackId();
    try {
      for (const group of round) {
        const moved = await this.#moveGroup(group, packId);
        all.push(moved);
        if (moved.replaced.length > 0) {
          packId++;
        } else {
          // The new pack goes, and the next one gets its number: readers look for the next number only.
          await this.#settle(old);
          packId = this.#nextPackId();
        }
      }
      await this.#settle(old);
      return all;
    } catch (error) {
      const isLost = isTsdosError(error, "NOT_FOUND") && this.#packed.files.sizeOf(packId) === undefined;
      await this.#tryRemoveOld(old);
      throw isLost ? this.#lost(packId) : error;
    }
  }

  async #settle(old: readonly PackUse[]): Promise<void> {
    if (this.#isUnsettled) await this.#walk(this.#packed.index.repacking.settling());
    this.#isUnsettled = false;
    if (this.#pacer.due) await this.#pacer.pause();
    await this.#removeOld(old);
  }

  #nextPackId(): number {
    return (this.#packed.files.ids().at(-1) ?? -1) + 1;
  }

  async #moveGroup(group: PackGroup, packId: number): Promise<MovedGroup> {
    this.#objects = 0;
    this.#rawBytes = 0;
    const ids = group.map((use) => use.packId);
    const replacement = this.#packed.index.repacking.begin(packId, ids);
    const replaced: PackUse[] = [];
    const skipped: SkippedPack[] = [];
    await this.#fill(replacement, group, { replaced, skipped });
    const bytes = this.#makeDurable(packId);
    if (replaced.length > 0) {
      const finished = replaced.map((use) => use.packId);
      await this.#walk(replacement.finish(finished, () => this.#refuseLost(packId, bytes)));
      this.#isUnsettled = true;
    }
    if (this.#pacer.due) await this.#pacer.pause();
    return { replaced, skipped, objects: this.#objects, rawBytes: this.#rawBytes, bytes };
  }

  async #walk(steps: Iterable<void>): Promise<void> {
    for (const _ of steps) if (this.#pacer.due) await this.#pacer.pause();
  }

  async #fill(
    replacement: Replacement,
    group: PackGroup,
    result: { readonly replaced: PackUse[]; readonly skipped: SkippedPack[] },
  ): Promise<void> {
    const writer = this.#writer(replacement);
    try {
      using adder = new EncodedAdder(writer, this.#moving.compressing, this.#moving.threads);
      writer.begin();
      for (const use of group) {
        const problem = await this.#movePack(use, { writer, adder, replacement });
        if (problem === undefined) result.replaced.push(use);
        else result.skipped.push(problem);
      }
    } finally {
      writer.close();
    }
  }

  #writer(replacement: Replacement): PackWriter {
    const { index } = this.#packed;
    return replacementWriter(this.#packed, this.#lock, replacement.packId, {
      get: () => undefined,
      isSealed: (id) => index.isSealed(id),
      isSuspect: (id) => index.isSuspect(id),
      commit: (packId, batch, sync) => {
        if (packId !== replacement.packId) {
          index.commit(packId, batch, sync);
          return;
        }
        replacement.append(batch);
        this.#fresh = locatedIn(batch);
      },
    });
  }

  /** Why the pack cannot be replaced, if so: then nothing of it is in the new one. */
  async #movePack(use: PackUse, target: Target): Promise<SkippedPack | undefined> {
    const { writer, adder, replacement } = target;
    const start = writer.begin();
    const { position } = replacement;
    const before = { objects: this.#objects, rawBytes: this.#rawBytes };
    let found = 0;
    try {
      for (const { live, superseded } of this.#packed.index.repacking.entriesOf(use.packId)) {
        this.#moving.signal?.throwIfAborted();
        found += live.count;
        const needed = [...locatedIn(live), ...(await this.#unreplaceable(locatedIn(superseded)))];
        for (const run of this.#packed.readMany(needed, {})) {
          for (const reader of run) await this.#moveObject(reader, target);
        }
        await this.#check(target);
        if (this.#pacer.due) await this.#pacer.pause();
      }
      // Nobody else changes anything meanwhile, but for disk-objectstore, which deletes rows of version 1.
      if (found !== use.objects && writer.formatVersion === 2) throw this.#incomplete(use, found);
      return undefined;
    } catch (error) {
      const problem = this.#problemOf(error, use);
      if (problem === undefined) throw error;
      adder.discard();
      writer.commit();
      writer.rollback(start);
      replacement.rollback(position);
      this.#objects = before.objects;
      this.#rawBytes = before.rawBytes;
      return problem;
    }
  }

  /** The index has objects of the pack that its table of contents has not (any more): that is damaged. */
  #incomplete({ packId, objects }: PackUse, found: number): TsdosError {
    const path = this.#packed.files.pathOf(packId);
    const message = `the table of contents of ${path} has ${found} of the ${objects} objects that the index has of it: run repair`;
    return new TsdosError("CORRUPT_INDEX", message, { path });
  }

  /** Those whose newer copies elsewhere are damaged: they are needed, and become the newest. */
  async #unreplaceable(superseded: readonly Located[]): Promise<Located[]> {
    const needed: Located[] = [];
    for (const located of superseded) {
      const newest = this.#packed.find(located.key);
      const { signal } = this.#moving;
      if (newest !== undefined && (await this.#packed.isIntact(located.key, newest, signal))) continue;
      // What cannot be read may be the last good copy: then the pack stays.
      const reader = this.#packed.reader(located.key, located.entry, { verify: "hash" });
      if (await readsBack(reader, signal)) needed.push(located);
    }
    return needed;
  }

  async #moveObject(reader: PackedReader, target: Target): Promise<void> {
    this.#moving.signal?.throwIfAborted();
    const { writer } = target;
    const { entry } = reader;
    const isCopied = this.#staysEncoded(entry) && (await copyStored(writer, reader, this.#moving.signal));
    if (!isCopied) await this.#encode(reader, target);
    this.#objects++;
    this.#rawBytes += entry.rawSize;
    if (writer.uncommitted >= CHECK_OBJECTS || writer.uncommittedBytes >= CHECK_BYTES) await this.#check(target);
    if (this.#pacer.due) await this.#pacer.pause();
  }

  /** True when the stored bytes may stay as they are. */
  #staysEncoded({ codec, rawSize }: PackEntry): boolean {
    const { mode, spec } = this.#moving.compressing;
    if (mode === "keep" || rawSize === 0) return true;
    if (codec === codecIds.none) return mode === "no" || spec.codec === "none";
    if (mode === "no" || this.#moving.anew) return false;
    return codecName(codec)?.startsWith(spec.codec) ?? false;
  }

  async #encode(reader: PackedReader, { writer, adder }: Target): Promise<void> {
    const { compressing, signal } = this.#moving;
    const { key, rawSize } = reader;
    if (rawSize <= SMALL_MAX) {
      await adder.add(key, await reader.whole());
      return;
    }
    await adder.drain();
    const chunks = reader.chunks(0, rawSize, true);
    const added = await addLarge(writer, chunks, { compressing, size: rawSize, signal, expected: key });
    if (added.key === key) return;
    const { packId, offset } = reader.entry;
    const place = { key, path: this.#packed.files.pathOf(packId), offset };
    throw corruptObject(place, `the SHA-256 of its content is ${added.key}`);
  }

  /** Reads back what was moved since the last time. */
  async #check({ writer, adder }: Target): Promise<void> {
    this.#fresh = [];
    await adder.drain();
    writer.commit();
    const objects = this.#fresh.length;
    let rawBytes = 0;
    for (const { entry } of this.#fresh) rawBytes += entry.rawSize;
    if (this.#moving.verifyHash) {
      for (const run of this.#packed.readMany(this.#fresh, { verify: "hash" })) {
        for (const reader of run) await readToEnd(reader.chunks(0, reader.rawSize, true), this.#moving.signal);
        if (this.#pacer.due) await this.#pacer.pause();
      }
    }
    this.#moving.onMoved(objects, rawBytes);
  }

  /** What makes a pack stay: damage in it, or in what was made of it, or a codec of a newer tsdos. */
  #problemOf(error: unknown, { packId }: PackUse): SkippedPack | undefined {
    if (!isTsdosError(error)) return undefined;
    const path = this.#packed.files.pathOf(packId);
    const isDamage = ["CORRUPT_OBJECT", "CORRUPT_INDEX", "UNSUPPORTED_CODEC"].includes(error.code);
    const isUnreadable = ["NOT_FOUND", "IO_ERROR"].includes(error.code) && error.details.path === path;
    if (!isDamage && !isUnreadable) return undefined;
    const { key } = error.details;
    const message = `${error.message}; ${path} stays as it is`;
    return { packId, path, code: error.code, message, ...(key !== undefined && { key }) };
  }

  /** Version 1: a repack by disk-objectstore removes packs that no row refers to yet. Nothing may refer to ours then. */
  #refuseLost(packId: number, bytes: number): void {
    if (this.#packed.files.sizeOf(packId) !== bytes) throw this.#lost(packId);
  }

  #lost(packId: number): TsdosError {
    const path = this.#packed.files.pathOf(packId);
    const message = `another program has removed ${path} while it was made; nothing was replaced by it, run repack again when that has finished`;
    return new TsdosError("LOCKED", message, { path });
  }

  #makeDurable(packId: number): number {
    const { fs } = this.#packed.context;
    const file = fs.open(this.#packed.files.pathOf(packId), "modify");
    try {
      fs.sync(file);
      return fs.size(file);
    } finally {
      fs.close(file);
    }
  }

  /** After an error: what was not completed goes now, or with the next holder of the lock. */
  async #tryRemoveOld(old: readonly PackUse[]): Promise<void> {
    try {
      await this.#removeOld(old);
    } catch {
      // The first error is the one to tell.
    }
  }

  async #removeOld(old: readonly PackUse[]): Promise<void> {
    this.#lock.keepPack();
    const leftovers = this.#packed.index.repacking.leftovers();
    if (leftovers === undefined) return;
    // In version 1 all rows were looked at for that, and they are once more before anything is removed.
    if (this.#pacer.due) await this.#pacer.pause();
    const { files } = this.#packed;
    const grown = old.find(({ packId, fileBytes }) => (files.sizeOf(packId) ?? fileBytes) !== fileBytes);
    if (grown === undefined) removePacks(this.#packed, leftovers);
  }
}

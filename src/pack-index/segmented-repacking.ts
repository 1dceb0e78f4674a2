import type { FileSystem } from "../file-system.ts";
import { ENTRY_SIZE, isTombstone, type PackEntry, type RecordBatch, readRecord } from "../format/entry.ts";
import {
  parsePackFileName,
  parseTocFileName,
  parseUnfinishedTocName,
  tocFileName,
  unfinishedTocName,
} from "../format/paths.ts";
import { isCompletePack } from "./complete-pack.ts";
import { FLUSH_MAX_RECORDS, type IndexState } from "./index-state.ts";
import type { Leftovers, PackEntries, Repacking, Replacement } from "./repacking.ts";

import { TocFile } from "./toc-file.ts";

type Wholly = <T>(work: (state: IndexState) => T) => T;

/** The index that a repack works on. */
interface Index {
  get(keys: Uint8Array, at: number): PackEntry | undefined;
  flushTail(sync: boolean, min: number): void;
  flushing(sync: boolean): Generator<void>;
}

/** Version 2: a repack's new entries are the new pack's table of contents, which gets its proper name once it is complete. */
export class SegmentedRepacking implements Repacking {
  readonly #fs: FileSystem;
  readonly #containerId: string;
  readonly #index: Index;
  readonly #wholly: Wholly;
  /** New packs that this instance has completed, so that it need not read all of their tables of contents before it removes what they replace. */
  readonly #complete = new Set<number>();

  /** `wholly` hands the index's state to what changes it. */
  constructor(options: { readonly fs: FileSystem; readonly containerId: string }, index: Index, wholly: Wholly) {
    this.#fs = options.fs;
    this.#containerId = options.containerId;
    this.#index = index;
    this.#wholly = wholly;
  }

  /**
   * The entries go to `N.toc.tmp`. Its name is durable before the pack is begun, so whoever finds it without `N.toc` knows that
   * the pack is incomplete.
   */
  begin(packId: number, replaced: readonly number[]): Replacement {
    const fs = this.#fs;
    const state = this.#wholly((all) => all);
    const path = `${state.folder}/${unfinishedTocName(packId)}`;
    const toc = new TocFile(fs, path, packId, replaced);
    toc.append({ bytes: new Uint8Array(), count: 0 }, this.#containerId, (file) => fs.sync(file));
    fs.syncDirectory(state.folder);
    return {
      packId,
      get position() {
        return toc.position;
      },
      // Each asks first whether the index is closed: then somebody else may have the lock soon.
      append: (batch) => this.#wholly(() => toc.append(batch, this.#containerId, undefined)),
      rollback: (position) => this.#wholly(() => toc.rollback(position)),
      finish: (finished) => {
        this.#wholly(() => toc.seal(finished));
        toc.close();
        // The pack's name must be durable before its TOC is found.
        fs.syncDirectory(state.folder);
        fs.rename(path, state.tocPath(packId));
        fs.syncDirectory(state.folder);
        return this.#adopting(packId);
      },
    };
  }

  /** Takes the new pack's entries over, and forgets the packs that it replaces. */
  *#adopting(packId: number): Generator<void> {
    const toc = this.#wholly((state) => state.addToc(packId));
    const reading = this.#wholly((state) => state.readingWhole(toc, 0));
    const goesOn = (): boolean => {
      if (reading.next().done) return false;
      this.#index.flushTail(true, FLUSH_MAX_RECORDS);
      return true;
    };
    let { position } = toc;
    // Whoever looks at the files between two steps reads the rest of it, or all of the index anew.
    const isOurs = ({ tocs }: IndexState): boolean => tocs.get(packId) === toc && toc.position === position;
    while (this.#wholly((state) => isOurs(state) && goesOn())) {
      ({ position } = toc);
      yield;
    }
    this.#wholly((state) => {
      state.retireReplacedBy(toc, true);
      if (!state.damage.some((one) => one.packId === packId)) this.#complete.add(packId);
    });
  }

  /** A new MANIFEST does without the packs that were replaced. */
  *settling(): Generator<void> {
    this.#wholly((state) => {
      if (state.tail.count > 0) this.#index.flushTail(true, 1);
      else state.writeManifest(state.manifest.segments, state.positions(), true);
    });
    yield* this.#index.flushing(true);
  }

  leftovers(): Leftovers | undefined {
    return this.#wholly((state) => this.#leftoversIn(state));
  }

  #leftoversIn(state: IndexState): Leftovers | undefined {
    const fs = this.#fs;
    const names = fs.list(state.folder) ?? [];
    const unfinished = names.map(parseUnfinishedTocName).filter((id) => id !== undefined);
    const present = new Set(names.map((name) => parsePackFileName(name, 2) ?? parseTocFileName(name)));
    const found = [...state.replaced].filter(([packId]) => present.has(packId));
    if (found.length === 0 && unfinished.length === 0) return undefined;
    const complete = new Set(
      [...new Set(found.map(([, by]) => by))].filter(
        (by) => this.#complete.has(by) || isCompletePack(fs, state.folder, by),
      ),
    );
    const replaced = found.filter(([, by]) => complete.has(by)).map(([packId]) => packId);
    const incomplete = unfinished.filter((packId) => !names.includes(tocFileName(packId)) && present.has(packId));
    const packs = [...replaced, ...incomplete];
    return {
      packs,
      remove: (removePack) => {
        const { manifest } = state;
        // Whoever gave the new TOC its name may have been killed before that was durable.
        fs.syncDirectory(state.folder);
        if (replaced.some((packId) => manifest.covered.has(packId) || manifest.valid.has(packId)))
          state.writeManifest(manifest.segments, manifest.covered, true);
        for (const packId of replaced) fs.remove(state.tocPath(packId));
        for (const packId of packs) removePack(packId);
        fs.syncDirectory(state.folder);
        for (const packId of unfinished) fs.remove(`${state.folder}/${unfinishedTocName(packId)}`);
        this.#complete.clear();
      },
    };
  }

  describes(packId: number): boolean {
    return this.#wholly((state) => (state.tocs.get(packId)?.position ?? 0) > 0);
  }

  *entriesOf(packId: number): Generator<PackEntries> {
    const toc = this.#wholly((state) => state.tocs.get(packId));
    for (const batch of toc?.batches(toc.position) ?? []) yield divided(batch, this.#index);
  }
}

/** Entries of one pack, divided by what look-ups find for their keys. */
function divided({ bytes, count }: RecordBatch, index: Index): PackEntries {
  const live = new Uint8Array(count * ENTRY_SIZE);
  const superseded = new Uint8Array(count * ENTRY_SIZE);
  let liveEnd = 0;
  let supersededEnd = 0;
  for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
    const found = isTombstone(bytes, at) ? undefined : index.get(bytes, at);
    if (found === undefined) continue;
    const record = bytes.subarray(at, at + ENTRY_SIZE);
    const { packId, offset, storedSize } = readRecord(bytes, at);
    if (found.packId === packId && found.offset === offset && found.storedSize === storedSize) {
      live.set(record, liveEnd);
      liveEnd += ENTRY_SIZE;
    } else {
      superseded.set(record, supersededEnd);
      supersededEnd += ENTRY_SIZE;
    }
  }
  return {
    live: { bytes: live, count: liveEnd / ENTRY_SIZE },
    superseded: { bytes: superseded, count: supersededEnd / ENTRY_SIZE },
  };
}

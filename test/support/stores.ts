import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { openStores } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import type { FileSystem } from "../../src/file-system.ts";
import { parseCompression } from "../../src/format/compression-spec.ts";
import type { ContainerConfig } from "../../src/format/config.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { CombinedStore } from "../../src/store/combined-store.ts";
import { inSteps, type RemovalLock, type StoreContext } from "../../src/store/context.ts";
import { LooseStore } from "../../src/store/loose-store.ts";
import type { Durability, ObjectStore } from "../../src/store/object-store.ts";
import { PackFiles } from "../../src/store/pack-files.ts";
import { PackedStore } from "../../src/store/packed-store.ts";
import type { PackerLock } from "../../src/store/packer-lock.ts";
import { MemoryFileSystem, type StoreUnderTest } from "../../src/testing.ts";
import { temporaryFolder } from "./folders.ts";
import { flipByte, writeFile } from "./port-files.ts";

export interface StoreSettings {
  readonly compression?: string;
  readonly loosePrefixLen?: number;
  readonly packSizeTarget?: number;
  readonly durability?: Durability;
  readonly removals?: RemovalLock;
}

const LOCK_TIMEOUT_MS = 2000;
/** The container's folder in a {@link MemoryFileSystem}. */
export const MEMORY_ROOT = "/container";

function configOf(settings: StoreSettings, formatVersion: 1 | 2 = 2): ContainerConfig {
  const compression = settings.compression ?? "zstd:+3";
  return {
    containerVersion: formatVersion,
    containerId: "0123456789abcdef0123456789abcdef",
    hashType: "sha256",
    loosePrefixLen: settings.loosePrefixLen ?? 2,
    packSizeTarget: settings.packSizeTarget ?? 4 * 1024 ** 3,
    compression,
    compressionSpec: parseCompression(compression),
    unknownFields: {},
  };
}

/** A packer lock for stores in one process that share a {@link MemoryFileSystem}. It does not wait: nobody holds it for long. */
export class MemoryLock implements PackerLock {
  readonly #shared: { holder: MemoryLock | undefined };

  constructor(shared: { holder: MemoryLock | undefined }) {
    this.#shared = shared;
  }

  async acquire(
    doing: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<void> {
    options.signal?.throwIfAborted();
    for (const end = Date.now() + options.timeoutMs; this.#shared.holder !== undefined; ) {
      if (Date.now() >= end) throw new TsdosError("LOCKED", `locked, wanted for ${doing}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      options.signal?.throwIfAborted();
    }
    this.#shared.holder = this;
  }

  enterPack(): void {}
  keepPack(): void {}

  leavePack(): void {}

  holder(): undefined {}

  release(): void {
    if (this.#shared.holder === this) this.#shared.holder = undefined;
  }
}

/** The parts of a container on any file system. */
export interface OpenedStores {
  readonly combined: CombinedStore;
  readonly index: SegmentedIndex;
  close(): void;
}

/** Opens the stores of {@link MEMORY_ROOT}; those that share `lock` exclude each other as processes do. */
export function openOn(
  fs: FileSystem,
  settings: StoreSettings,
  lock: { holder: MemoryLock | undefined } = { holder: undefined },
): OpenedStores {
  const context: StoreContext = {
    fs,
    root: MEMORY_ROOT,
    config: configOf(settings),
    durability: settings.durability ?? "full",
    ...(settings.removals && { removals: settings.removals }),
  };
  const folder = `${MEMORY_ROOT}/packed`;
  const index = new SegmentedIndex({ fs, folder, containerId: context.config.containerId });
  const own = new MemoryLock(lock);
  const packed = new PackedStore({
    context,
    files: new PackFiles(fs, folder, 2),
    index,
    lock: own,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
  });
  const combined = new CombinedStore(context, new LooseStore(context), packed);
  return {
    combined,
    index,
    close() {
      packed.close();
      own.release();
    },
  };
}

/** Writes a segment of the index, with what is only in tables of contents so far. */
export async function flushIndex({ combined, index }: OpenedStores, sync = true): Promise<void> {
  await combined.packed.exclusively("flush", {}, () => index.flush(sync, true));
}

export async function rebuildIndex({ combined, index }: OpenedStores): Promise<void> {
  await combined.packed.exclusively("rebuild", {}, () => inSteps(index.rebuilding(true)));
}

/** An empty container's folders, durable. */
export const emptyMemoryFolder = (): MemoryFileSystem => makeEmptyFolder(new MemoryFileSystem());

export function makeEmptyFolder(fs: MemoryFileSystem): MemoryFileSystem {
  for (const folder of ["loose", "packed", "sandbox"]) fs.makeDirectory(`${MEMORY_ROOT}/${folder}`);
  fs.syncDirectory(MEMORY_ROOT);
  fs.syncDirectory("/");
  return fs;
}

export type Part = "loose" | "packed" | "combined";

const partOf = (stores: { readonly combined: CombinedStore }, part: Part): ObjectStore =>
  part === "combined" ? stores.combined : stores.combined[part];

/** A store in memory, for the conformance suite. */
export function storeInMemory(part: Part, settings: StoreSettings = {}): StoreUnderTest {
  const fs = emptyMemoryFolder();
  fs.makeDirectory("/files");
  const lock = { holder: undefined };
  const opened = [openOn(fs, settings, lock)];
  return underTest({
    fs,
    root: MEMORY_ROOT,
    part,
    opened,
    open: () => openOn(fs, settings, lock),
    makeFile(name, bytes) {
      const path = `/files/${name}`;
      writeFile(fs, path, bytes);
      return path;
    },
  });
}

/** A store in a folder of its own, as containers have it. */
export function storeOnDisk(part: Part, settings: StoreSettings = {}): StoreUnderTest {
  const fs = new NodeFileSystem();
  const root = join(temporaryFolder(), "container");
  const files = temporaryFolder();
  for (const folder of ["loose", "packed", "sandbox"]) mkdirSync(join(root, folder), { recursive: true });
  const open = (create: boolean) =>
    openStores({
      fs,
      root,
      config: configOf(settings),
      durability: settings.durability ?? "full",
      lockTimeoutMs: LOCK_TIMEOUT_MS,
      create,
    });
  return underTest({
    fs,
    root,
    part,
    opened: [open(true)],
    open: () => open(false),
    makeFile(name, bytes) {
      writeFileSync(join(files, name), bytes);
      return join(files, name);
    },
  });
}

interface Parts {
  readonly fs: FileSystem;
  readonly root: string;
  readonly part: Part;
  readonly opened: { readonly combined: CombinedStore; close(): void }[];
  readonly open: () => { readonly combined: CombinedStore; close(): void };
  readonly makeFile: (name: string, bytes: Uint8Array) => string;
}

function underTest({ fs, root, part, opened, open, makeFile }: Parts): StoreUnderTest {
  const [first] = opened as [(typeof opened)[number]];
  return {
    store: partOf(first, part),
    reopen() {
      const another = open();
      opened.push(another);
      return partOf(another, part);
    },
    makeFile,
    damage: (key) => damageCopies(fs, open(), key),
    temporaryFiles: () => fs.list(`${root}/sandbox`) ?? [],
    close() {
      for (const one of opened) one.close();
    },
  };
}

/** Changes a byte in the middle of the loose and of the packed copy of an object. */
export function damageCopies(
  fs: FileSystem,
  stores: { readonly combined: CombinedStore; close(): void },
  key: ObjectKey,
): void {
  const { loose, packed } = stores.combined;
  const size = loose.sizeOf(key);
  if (size !== undefined) flipByte(fs, loose.pathOf(key), Math.floor(size / 2));
  const entry = packed.find(key);
  if (entry !== undefined)
    flipByte(fs, packed.files.pathOf(entry.packId), entry.offset + Math.floor(entry.storedSize / 2));
  stores.close();
}

/** A whole container, through its public face. */
export async function containerOnDisk(formatVersion: 1 | 2, options: CreateOptions = {}): Promise<StoreUnderTest> {
  const fs = new NodeFileSystem();
  const root = join(temporaryFolder(), "container");
  const files = temporaryFolder();
  const opened = [await Container.create(root, { ...options, formatVersion, lockTimeoutMs: LOCK_TIMEOUT_MS })];
  const [first] = opened as [Container];
  return {
    store: first,
    async reopen() {
      const another = await Container.open(root, { lockTimeoutMs: LOCK_TIMEOUT_MS });
      opened.push(another);
      return another;
    },
    makeFile(name, bytes) {
      writeFileSync(join(files, name), bytes);
      return join(files, name);
    },
    damage(key) {
      const { config } = first;
      damageCopies(fs, openStores({ fs, root, config, durability: "process", lockTimeoutMs: 0, create: false }), key);
    },
    temporaryFiles: () => (fs.list(`${root}/sandbox`) ?? []).filter((name) => !name.startsWith("tsdos.")),
    async close() {
      for (const one of opened) await one.close();
    },
  };
}

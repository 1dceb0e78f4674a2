import { rmSync } from "node:fs";
import { join } from "node:path";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import {
  Container,
  type ContainerStatus,
  type Destination,
  type FileSource,
  fromFile,
  type ObjectStore,
} from "../../src/index.ts";
import { importArchive } from "../../src/maintenance/archive/import-archive.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import type { ExportArchiveReport, ImportReport } from "../../src/maintenance/import-reports.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { type RepackOptions, type RepackReport, repack } from "../../src/maintenance/repack.ts";
import type { CleanOptions, PackOptions, PackReport } from "../../src/maintenance/reports.ts";
import { statusOf } from "../../src/maintenance/status.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { ValidateReport } from "../../src/maintenance/validate-reports.ts";
import { inSteps } from "../../src/store/context.ts";
import { numbers } from "../../src/testing/contents.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";
import { writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, type MemoryLock, openOn } from "../support/stores.ts";

/** What is asked of an open container. */
export interface Instance {
  readonly store: ObjectStore;
  pack(options: PackOptions): Promise<PackReport>;
  clean(options: CleanOptions): Promise<unknown>;
  validate(): Promise<ValidateReport>;
  rebuildIndex(): Promise<unknown>;
  status(): Promise<ContainerStatus>;
  repack(options: RepackOptions): Promise<RepackReport>;
  exportArchive(sink: (bytes: Uint8Array) => void, keys: readonly string[]): Promise<ExportArchiveReport>;
  importArchive(pieces: readonly Uint8Array[]): Promise<ImportReport>;
  /** From another, new container with these contents. */
  importContents(contents: readonly Uint8Array[], to: Destination): Promise<ImportReport>;
  close(): Promise<void>;
}

/** A container that is open twice, and what can happen to it. */
export interface Subject {
  readonly formatVersion: 1 | 2;
  readonly instances: Instance[];
  /** Closes one of the instances, and opens it anew. */
  reopen(at: number): Promise<void>;
  /** Both instances are gone as when their process is killed, whatever they were doing; then it is opened again. */
  crash(): Promise<void>;
  /** As a crash, and of what was not synced only a part is there. Undefined where that cannot be played. */
  readonly powerCut: ((luck: number, seed: number) => Promise<void>) | undefined;
  loseIndex(): void;
  fileOf(bytes: Uint8Array): FileSource;
  close(): Promise<void>;
}

class ContainerInstance implements Instance {
  readonly store: Container;

  constructor(container: Container) {
    this.store = container;
  }

  pack = (options: PackOptions): Promise<PackReport> => this.store.pack(options);
  clean = (options: CleanOptions): Promise<unknown> => this.store.clean(options);
  validate = (): Promise<ValidateReport> => this.store.validate();
  rebuildIndex = (): Promise<unknown> => this.store.rebuildIndex();
  status = (): Promise<ContainerStatus> => this.store.status();
  repack = (options: RepackOptions): Promise<RepackReport> => this.store.repack(options);
  exportArchive: Instance["exportArchive"] = (sink, keys) => this.store.exportArchive(sink, { keys });
  importArchive = (pieces: readonly Uint8Array[]): Promise<ImportReport> => this.store.importArchive(pieces);
  close = (): Promise<void> => this.store.close();

  async importContents(contents: readonly Uint8Array[], to: Destination): Promise<ImportReport> {
    const folder = temporaryFolder();
    try {
      await using other = await Container.create(join(folder, "other"), { durability: "process" });
      await Array.fromAsync(other.insertMany(contents, { to }));
      return await this.store.importFrom(other);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** A real folder. A crash there drops what is open without closing it, between two calls. */
export async function onDisk(options: CreateOptions): Promise<Subject> {
  const folder = temporaryFolder();
  const root = join(folder, "container");
  const settings = { durability: "process", lockTimeoutMs: 2000 } as const;
  const open = async (): Promise<Instance> => new ContainerInstance(await Container.open(root, settings));
  await (await Container.create(root, { ...options, ...settings })).close();
  const instances = [await open(), await open()];
  const fs = new NodeFileSystem();
  let files = 0;
  return {
    formatVersion: options.formatVersion ?? 2,
    instances,
    async reopen(at) {
      await instances[at]?.close();
      instances[at] = await open();
    },
    async crash() {
      instances.splice(0, 2, await open(), await open());
    },
    powerCut: undefined,
    loseIndex: () => rmSync(join(root, "packed/index"), { recursive: true, force: true }),
    fileOf(bytes) {
      const path = join(folder, `source-${files++}`);
      writeFile(fs, path, bytes);
      return fromFile(path);
    },
    async close() {
      for (const instance of instances) await instance.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Files in memory that know what was synced; format version 2. */
export async function inMemory(options: CreateOptions): Promise<Subject> {
  let fs = emptyMemoryFolder();
  let lock: { holder: MemoryLock | undefined } = { holder: undefined };
  let files = 0;
  const { compression = "zstd:+3", packSizeTarget = 4 * 1024 ** 3, loosePrefixLen = 2 } = options;
  const open = (): Instance => {
    const stores = openOn(fs, { compression, packSizeTarget, loosePrefixLen }, lock);
    const { combined, index } = stores;
    return {
      store: combined,
      pack: (given) => packLoose(combined, given),
      clean: (given) => clean(combined, given),
      validate: () => validate(combined, {}),
      rebuildIndex: () => combined.packed.exclusively("rebuild", {}, () => inSteps(index.rebuilding(true))),
      status: () => statusOf(combined),
      repack: (given) => repack(combined, given),
      exportArchive: (sink, keys) => writeArchive(combined, sink, { keys }),
      importArchive: (pieces) => importArchive(combined, pieces, {}),
      async importContents(contents, to) {
        const other = openOn(emptyMemoryFolder(), {});
        await Array.fromAsync(other.combined.insertMany(contents, { to }));
        try {
          return await importFrom(combined, other.combined, {});
        } finally {
          other.close();
        }
      },
      close: async () => stores.close(),
    };
  };
  const instances = [open(), open()];
  const startAgain = (after: MemoryFileSystem): void => {
    fs = after;
    lock = { holder: undefined };
    instances.splice(0, 2, open(), open());
  };
  return {
    formatVersion: 2,
    instances,
    async reopen(at) {
      await instances[at]?.close();
      instances[at] = open();
    },
    crash: async () => startAgain(fs.afterPowerCut(() => true)),
    async powerCut(luck, seed) {
      const next = numbers(seed);
      startAgain(fs.afterPowerCut(() => next() < luck * 2 ** 32));
    },
    loseIndex() {
      for (const name of fs.list(`${MEMORY_ROOT}/packed/index`) ?? []) fs.remove(`${MEMORY_ROOT}/packed/index/${name}`);
    },
    fileOf(bytes) {
      fs.makeDirectory("/files");
      const path = `/files/${files++}`;
      writeFile(fs, path, bytes);
      return fromFile(path);
    },
    async close() {
      for (const instance of instances) await instance.close();
    },
  };
}

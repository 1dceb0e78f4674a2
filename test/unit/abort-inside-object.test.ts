import assert from "node:assert/strict";
import { test } from "node:test";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { localBackups } from "../../src/maintenance/backup/local-target.ts";
import { sendContainer } from "../../src/maintenance/backup/send-container.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { repack } from "../../src/maintenance/repack.ts";
import type { LongOperationOptions } from "../../src/progress.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const SIZE = 24_000_000;
const ABORT_AT = 4_500_000;
/** What may be read after an abort: the piece that was under way, and the next one. */
const READ_AFTER = 2 * 1024 ** 2;

interface Operation {
  /** Where the object is. */
  readonly where: "loose" | "packed" | "both";
  readonly run: (store: CombinedStore, options: LongOperationOptions) => Promise<unknown>;
}

const other = (): CombinedStore => openOn(emptyMemoryFolder(), { durability: "process" }).combined;

const operations: Record<string, Operation> = {
  pack: { where: "loose", run: packLoose },
  clean: { where: "both", run: clean },
  repack: { where: "packed", run: (store, options) => repack(store, { ...options, all: true }) },
  "repack without a look at the contents": {
    where: "packed",
    run: (store, options) => repack(store, { ...options, all: true, verifyHash: false }),
  },
  import: { where: "packed", run: (store, options) => importFrom(other(), store, options) },
  "import of what is loose": { where: "loose", run: (store, options) => importFrom(other(), store, options) },
  "import, compared with checksums": {
    where: "packed",
    run: (store, options) => importFrom(other(), store, { ...options, verifyHash: false }),
  },
  export: { where: "packed", run: (store, options) => writeArchive(store, () => undefined, options) },
  "export of what is loose": { where: "loose", run: (store, options) => writeArchive(store, () => undefined, options) },
  backup: {
    where: "packed",
    run: (store, options) => sendContainer(store, backups(store), undefined, options),
  },
  "backup of what is loose": {
    where: "loose",
    run: (store, options) => sendContainer(store, backups(store), undefined, options),
  },
};

const backups = (store: CombinedStore) => localBackups(store.packed.context.fs, temporaryFolder());

for (const [name, { where, run }] of Object.entries(operations)) {
  test(`${name}: an abort is heard in the middle of a large object`, async () => {
    const memory = emptyMemoryFolder();
    await using _ = {
      async [Symbol.asyncDispose]() {
        filling.close();
        opened.close();
      },
    };
    const filling = openOn(memory, { durability: "process", compression: "none" });
    const inserted = filling.combined.insertMany([noise(SIZE)], { to: where === "packed" ? "packed" : "loose" });
    await Array.fromAsync(inserted);
    if (where === "both") await packLoose(filling.combined, { clean: false });
    const controller = new AbortController();
    let readAfter = 0;
    const fs = new InterceptedFileSystem(memory, ({ name: call, path, position = 0, size = 0 }) => {
      const isObject = path.includes("/loose/") || path.endsWith(".pack");
      if (call !== "read" || !isObject) return undefined;
      if (controller.signal.aborted) readAfter += size;
      else if (position >= ABORT_AT) controller.abort(new Error("enough"));
      return undefined;
    });
    const opened = openOn(fs, { durability: "process", compression: "none" });
    await assert.rejects(run(opened.combined, { signal: controller.signal }), /enough/);
    assert.ok(readAfter <= READ_AFTER, `${readAfter} bytes were read after the abort`);
    assert.deepEqual(
      fs.openFiles.filter((path) => path.includes("/loose/")),
      [],
    );
  });
}

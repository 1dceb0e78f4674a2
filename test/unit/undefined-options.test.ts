import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  type BackupOptions,
  Container,
  type CreateOptions,
  type ExtractOptions,
  type ImportOptions,
  type InsertManyOptions,
  type PackOptions,
  type RepackOptions,
  restoreBackup,
  type ValidateOptions,
} from "../../src/index.ts";
import { prose } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";

const signal: AbortSignal | undefined = undefined;
const threads: number | undefined = undefined;
const compress: "yes" | undefined = undefined;

/** TypeScript refused them with `exactOptionalPropertyTypes`, where a function hands on what it was given: this is type-checked. */
test("an option that is undefined is as one that is not given", async () => {
  const folder = temporaryFolder();
  const create: CreateOptions = { durability: undefined, lockTimeoutMs: undefined, formatVersion: undefined };
  const insert: InsertManyOptions = { signal, threads, compress, to: undefined, onSourceError: undefined };
  const extract: ExtractOptions = { signal, verify: undefined, from: undefined };
  const pack: PackOptions = {
    signal,
    threads,
    compress,
    verifyHash: undefined,
    clean: undefined,
    onProgress: undefined,
  };
  const repack: RepackOptions = { signal, all: undefined, deadRatio: undefined, compress, compression: undefined };
  const validate: ValidateOptions = { signal, threads, quick: undefined, sample: undefined, checkpoint: undefined };
  const backup: BackupOptions = { signal, keep: undefined, verify: undefined, dryRun: undefined };
  const copy: ImportOptions = { signal, keys: undefined, verifyHash: undefined, dryRun: undefined };
  await using container = await Container.create(join(folder, "one"), create);
  await using other = await Container.create(join(folder, "other"));
  const [result] = await Array.fromAsync(container.insertMany([prose(5000)], insert));
  assert.deepEqual([container.formatVersion, result?.where], [2, "loose"]);
  assert.equal((await container.extract(result?.key ?? "", extract))?.rawSize, 5000);
  assert.deepEqual(await Array.fromAsync(container.keys({ signal })), [result?.key]);
  const { packedObjects, cleanedObjects, storedBytes } = await container.pack(pack);
  assert.deepEqual([packedObjects, cleanedObjects, storedBytes < 5000], [1, 1, true]);
  assert.equal((await container.repack(repack)).packs, 0);
  const { valid, mode, objects } = await container.validate(validate);
  assert.deepEqual([valid, mode, objects], [true, "full", 1]);
  assert.equal((await container.backup(join(folder, "backups"), backup)).dryRun, false);
  assert.equal((await restoreBackup(join(folder, "backups"), join(folder, "restored"), { signal })).objects, 1);
  assert.equal((await other.importFrom(container, copy)).importedObjects, 1);
  assert.deepEqual(await container.delete([result?.key ?? ""], { signal, durability: undefined }), [result?.key]);
});

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Container } from "../../src/container/container.ts";
import { backupsIn, restoreBackup } from "../../src/container/restore-backup.ts";
import { noise } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";

// `durability: "Full"` passed for "process": nothing was synced, and nobody was told.
test("options that are misspelled are refused, and nothing is done", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "container"));
  const { key } = await container.insert(noise(10));
  const wrong = <T>(options: unknown): T => options as T;
  const refused: [string, () => unknown][] = [
    ["durability", () => Container.open(container.path, wrong({ durability: "Full" }))],
    ["durability", () => Container.create(join(folder, "other"), wrong({ durability: "none" }))],
    ["durability", () => container.insert(noise(20), wrong({ durability: "" }))],
    ["durability", () => container.insert(noise(20), wrong({ durability: "fast", to: "packed" }))],
    ["durability", () => Array.fromAsync(container.insertMany([noise(20)], wrong({ durability: "x", to: "auto" })))],
    ["durability", () => container.delete([key], wrong({ durability: "x" }))],
    ["durability", () => container.pack(wrong({ durability: "x" }))],
    ["durability", () => container.importFrom(container, wrong({ durability: "x" }))],
    ["compress", () => container.insert(noise(20), wrong({ compress: "best", to: "packed" }))],
    ["compress", () => container.pack(wrong({ compress: "best" }))],
    ["compress", () => container.importFrom(container, wrong({ compress: "best" }))],
    ["compress", () => container.repack(wrong({ compress: "best" }))],
    ["to", () => container.insert(noise(20), wrong({ to: "pack" }))],
    ["verify", () => container.extract(key, wrong({ verify: "sha256" }))],
    ["verify", () => Array.fromAsync(container.readMany([key], wrong({ verify: "sha256" })))],
    ["from", () => container.stat(key, wrong("packs"))],
    ["from", () => Array.fromAsync(container.extractMany([key], wrong({ from: "packs" })))],
    ["verify", () => container.backup(join(folder, "backups"), wrong({ verify: "all" }))],
    ["compress", () => container.importArchive([], wrong({ compress: "best" }))],
    ["lockTimeoutMs", () => container.pack({ lockTimeoutMs: Number.NaN })],
    ["lockTimeoutMs", () => container.pack(wrong({ lockTimeoutMs: "1000" }))],
    // Was found out by the first call that needs the lock.
    ["lockTimeoutMs", () => Container.open(container.path, { lockTimeoutMs: Number.NaN })],
    ["lockTimeoutMs", () => Container.create(join(folder, "other"), { lockTimeoutMs: -1 })],
    // So many threads were started.
    ["threads", () => Array.fromAsync(container.insertMany([noise(20)], { threads: 65 }))],
    ["threads", () => container.validate({ threads: 65 })],
    ["lockTimeoutMs", () => container.clean({ lockTimeoutMs: -1 })],
    // Nothing was removed, and nobody was told why.
    ["sandboxAgeMs", () => container.clean(wrong({ sandboxAgeMs: "1h" }))],
    ["sandboxAgeMs", () => container.clean({ sandboxAgeMs: Number.NaN })],
  ];
  for (const [name, call] of refused) {
    await assert.rejects(
      async () => call(),
      { name: "RangeError", message: new RegExp(`^${name} must be `) },
      String(call),
    );
  }
  for (const compression of [{ codec: "none" }, 5])
    await assert.rejects(Container.create(join(folder, "other"), wrong({ compression })), { code: "INVALID_CONFIG" });
  // None of them has kept the lock.
  await container.rebuildIndex({ lockTimeoutMs: 0 });
  assert.deepEqual(await Array.fromAsync(container.keys()), [key]);
  assert.equal((await container.stat(key))?.where, "loose");
});

test("one key or source in place of many is refused in words", async () => {
  await using container = await Container.create(join(temporaryFolder(), "container"));
  const { key } = await container.insert(noise(10));
  const calls: (() => Promise<unknown>)[] = [
    () => container.delete(key),
    () => Array.fromAsync(container.extractMany(key)),
    () => Array.fromAsync(container.readMany(key)),
    () => container.insert(undefined as unknown as Uint8Array),
  ];
  for (const call of calls)
    await assert.rejects(call, { name: "TypeError", message: /iterable|a source is/ }, String(call));
  assert.ok(await container.has(key));
});

// `Container.create(process.env.STORE ?? "")` made a container of the current folder, if that was empty.
test("an empty path is no container's, nor a place for one, or for backups", async () => {
  await using container = await Container.create(join(temporaryFolder(), "container"));
  const calls: ((path: string) => Promise<unknown>)[] = [
    (path) => Container.create(path),
    (path) => Container.open(path),
    (path) => container.planExport(path),
    (path) => container.backup(path),
    (path) => backupsIn(path),
    (path) => restoreBackup(path, join(temporaryFolder(), "new")),
    (path) => restoreBackup(temporaryFolder(), path),
  ];
  for (const call of calls) {
    await assert.rejects(call(""), RangeError, String(call));
    // It was taken for a folder on another machine, called `file`.
    await assert.rejects(call(pathToFileURL("/nowhere") as unknown as string), TypeError, String(call));
  }
});

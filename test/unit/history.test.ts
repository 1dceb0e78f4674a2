import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../src/container/config-file.ts";
import { Container } from "../../src/container/container.ts";
import { TsdosError } from "../../src/errors.ts";
import { type History, parseHistory, printHistory } from "../../src/format/history.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { readHistory, recordHistory } from "../../src/maintenance/history.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { Progress } from "../../src/progress.ts";
import type { StoreContext } from "../../src/store/context.ts";
import { prose } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { temporaryFolder } from "../support/folders.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

const validation = {
  at: "2026-01-02T03:04:05.678Z",
  mode: "full",
  objects: 3,
  bytes: 30,
  problems: 0,
  durationMs: 12,
} as const;
const backup = { at: "2026-01-03T03:04:05.678Z", destination: "host:/backups", objects: 4, bytes: 40 } as const;

async function newContext(formatVersion: 1 | 2): Promise<{ readonly context: StoreContext; readonly file: string }> {
  const root = join(temporaryFolder(), "container");
  await (await Container.create(root, { formatVersion })).close();
  const fs = new NodeFileSystem();
  const context: StoreContext = { fs, root, config: readConfig(fs, root), durability: "full" };
  return { context, file: join(root, formatVersion === 1 ? "sandbox/tsdos.maintenance.json" : "maintenance.json") };
}

test("the last validation and the last backup are remembered side by side, in both versions", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { context, file } = await newContext(formatVersion);
    assert.deepEqual(readHistory(context), {});
    recordHistory(context, { lastValidation: validation });
    recordHistory(context, { lastBackup: backup });
    assert.ok(existsSync(file));
    assert.deepEqual(readHistory(context), { lastValidation: validation, lastBackup: backup });
    recordHistory(context, { lastValidation: { ...validation, problems: 7 } });
    const container = await Container.open(context.root);
    const { lastValidation, lastBackup } = await container.status();
    assert.deepEqual([lastValidation?.problems, lastBackup], [7, backup]);
    assert.equal((await container.validate()).valid, true);
    assert.deepEqual((await container.status()).lastValidation?.problems, 0);
    utimesSync(file, 0, 0);
    assert.equal((await container.clean()).sandboxFiles, 0);
    assert.ok(existsSync(file), "clean leaves it");
    await container.close();
    assert.deepEqual(
      readdirSync(join(context.root, "sandbox")).filter((name) => name.endsWith(".tmp")),
      [],
    );
  }
});

test("a backup that had problems is remembered with their number, and without what is no number", () => {
  for (const [given, read] of [
    [
      { ...backup, problems: 3 },
      { ...backup, problems: 3 },
    ],
    [{ ...backup, problems: "3" }, backup],
    [backup, backup],
  ] as const)
    assert.deepEqual(parseHistory(printHistory({ lastBackup: given } as History)), { lastBackup: read });
});

test("a history that is damaged, cut or of another shape reads as nothing, and is written anew", async () => {
  const { context, file } = await newContext(2);
  const text = printHistory({ lastValidation: validation, lastBackup: backup });
  for (let end = 0; end < text.length - 2; end++)
    assert.deepEqual(parseHistory(text.slice(0, end)), {}, `cut at ${end}`);
  for (const other of ["null", "3", "[]", '"x"', '{"lastBackup": 3}', '{"lastValidation": {"at": 3}}'])
    assert.deepEqual(parseHistory(other), {});
  assert.deepEqual(parseHistory(JSON.stringify({ lastBackup: { ...backup, more: 1 }, lastValidation: [] })), {
    lastBackup: backup,
  });
  writeFileSync(file, "\0".repeat(100));
  recordHistory(context, { lastBackup: backup });
  assert.deepEqual(readHistory(context), { lastBackup: backup });
  rmSync(file);
  assert.deepEqual(readHistory(context), {});
});

test("where nothing can be written or read, nothing is remembered, and nothing fails", async () => {
  const { context } = await newContext(2);
  const error = new TsdosError("ACCESS_DENIED", "no");
  const refusing = (names: readonly string[]): StoreContext => ({
    ...context,
    fs: new InterceptedFileSystem(context.fs, ({ name }) => (names.includes(name) ? { error } : undefined)),
  });
  for (const name of ["open", "write", "sync", "rename"]) recordHistory(refusing([name]), { lastBackup: backup });
  assert.deepEqual(readHistory(context), {});
  recordHistory(context, { lastBackup: backup });
  assert.deepEqual(readHistory(context), { lastBackup: backup });
  assert.deepEqual(readHistory(refusing(["read"])), {});
});

test("where the sandbox is on a file system of its own, history and checkpoint are written beside it", async () => {
  const memory = emptyMemoryFolder();
  const isInSandbox = (path: string): boolean => path.startsWith(`${MEMORY_ROOT}/sandbox/`);
  const error = new TsdosError("IO_ERROR", "another file system", { errno: "EXDEV" });
  const fs = new InterceptedFileSystem(memory, ({ name, path, to = path }) =>
    name === "rename" && isInSandbox(path) && !to.startsWith(`${MEMORY_ROOT}/loose/`) ? { error } : undefined,
  );
  const { combined, close } = openOn(fs, {});
  await Array.fromAsync(combined.insertMany([prose(30, 1), prose(30, 2)]));
  const stop = new AbortController();
  const onProgress = ({ phase }: Progress): void => {
    if (phase === "validate") stop.abort(new Error("enough"));
  };
  await assert.rejects(validate(combined, { signal: stop.signal, onProgress }), /enough/);
  const { resumed } = await validate(combined, { resume: true });
  assert.equal(resumed?.objects, 1);
  assert.equal(readHistory(combined.packed.context).lastValidation?.objects, 2);
  close();
  assert.deepEqual(memory.list(`${MEMORY_ROOT}/sandbox`), []);
  assert.deepEqual(
    memory.list(MEMORY_ROOT)?.filter((name) => name.endsWith(".tmp")),
    [],
  );
});

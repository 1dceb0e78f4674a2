import assert from "node:assert/strict";
import { once } from "node:events";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { temporaryFolder } from "../support/folders.ts";

test("a folder is made while others make and remove it, as clean does", async () => {
  const path = join(temporaryFolder(), "ab");
  const code = `
    const fs = await import("node:fs");
    const { parentPort } = await import("node:worker_threads");
    parentPort.postMessage("ready");
    for (let i = 0; i < 20_000; i++) {
      try { fs.mkdirSync(${JSON.stringify(path)}); } catch {}
      try { fs.rmdirSync(${JSON.stringify(path)}); } catch {}
    }`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  await once(worker, "message");
  const fs = new NodeFileSystem();
  for (let i = 0; i < 20_000; i++) {
    fs.makeDirectory(path);
    if (i % 2 === 0) fs.removeDirectory(path);
  }
  await once(worker, "exit");
});

test("what is no folder, and never becomes one, is an error", () => {
  const path = join(temporaryFolder(), "nowhere");
  symlinkSync("does-not-exist", path);
  assert.throws(() => new NodeFileSystem().makeDirectory(path), { code: "IO_ERROR", message: /EEXIST/ });
});

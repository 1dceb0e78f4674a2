import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { execPath } from "node:process";
import { test } from "node:test";
import { temporaryFolder } from "../support/folders.ts";

const child = join(import.meta.dirname, "few-files-child.ts");

for (const formatVersion of [1, 2]) {
  test(`version ${formatVersion}: with 64 file descriptors, everything works`, {
    skip: process.platform !== "linux",
  }, () => {
    const command = `ulimit -n 64; exec "${execPath}" "${child}" "${temporaryFolder()}" ${formatVersion}`;
    const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8", timeout: 60_000 });
    assert.equal(status, 0, stderr);
  });
}

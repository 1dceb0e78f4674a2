// Runs what is in examples/, each in a folder of its own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { temporaryFolder } from "../support/folders.ts";
import { project, readText } from "./support.ts";

const HELLO = "853ff93762a06ddbf722c4ebe9ddd66d8f63ddaea97f521c3ecc20da7c976020";

function run(cwd: string, name: string, ...args: string[]): string[] {
  const example = join(project, "examples", name);
  const { status, stdout, stderr } = spawnSync(process.execPath, [example, ...args], {
    cwd,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return stdout.trimEnd().split("\n");
}

test("every example has a test here", () => {
  const names = readdirSync(join(project, "examples")).sort();
  assert.deepEqual(names, ["bulk-ingestion.ts", "folder.ts", "slices.ts", "store-and-read.ts"]);
});

test("an example can be copied: it imports only what the package has", () => {
  for (const name of readdirSync(join(project, "examples"))) {
    const imported = [...readText(`examples/${name}`).matchAll(/ from "(.*)";/g)].map(([, from]) => from ?? "");
    assert.ok(imported.includes("tsdos"), name);
    for (const from of imported) assert.match(from, /^(tsdos|node:[a-z/]+)$/, name);
  }
});

test("store-and-read", () => {
  const lines = run(temporaryFolder(), "store-and-read.ts");
  const key = lines[6]?.replace("key ", "");
  assert.deepEqual(lines, [
    `stored ${HELLO} 13 bytes`,
    "same key: true - new: false",
    "packed: 16000 bytes, zstd true",
    "read back: hello, world",
    "",
    "missing: undefined",
    `key ${key}`,
    `key ${HELLO}`,
    "deleted 1",
    "has it: false",
  ]);
});

test("folder", () => {
  const folder = temporaryFolder();
  const files = { "one.txt": "the same", "below/two.txt": "the same", "below/deeper/three": "another", empty: "" };
  mkdirSync(join(folder, "from/below/deeper"), { recursive: true });
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, "from", path), content);
  const lines = run(folder, "folder.ts", "from", "to");
  assert.deepEqual(lines, ["stored 4 files as 3 objects", "restored 4 files"]);
  for (const [path, content] of Object.entries(files)) {
    assert.equal(readFileSync(join(folder, "to", path), "utf8"), content);
  }
});

test("bulk-ingestion", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "a.gz"), gzipSync("hello, world\n"));
  writeFileSync(join(folder, "large.gz"), gzipSync(Buffer.alloc(6_000_000, "text ")));
  writeFileSync(join(folder, "cut.gz"), gzipSync(Buffer.alloc(6_000_000, "more ")).subarray(0, -10));
  const files = ["a.gz", "cut.gz", "missing.gz", "large.gz"];
  // A result may come before those that follow are looked at: on a busy machine, sources pause.
  const [small, large, ...rest] = run(folder, "bulk-ingestion.ts", ...files).sort();
  assert.equal(small, `a.gz 13 bytes new ${HELLO}`);
  assert.match(large ?? "", /^large\.gz 6000000 bytes new [0-9a-f]{64}$/);
  assert.deepEqual(rest, ["left out cut.gz", "left out missing.gz"]);
  const second = run(folder, "bulk-ingestion.ts", "a.gz");
  assert.deepEqual(second, [`a.gz 13 bytes known ${HELLO}`]);
});

test("slices", () => {
  assert.deepEqual(run(temporaryFolder(), "slices.ts"), [
    "11000000 bytes, stored as zstd-frames",
    "first: line number 000000000",
    "",
    "last: line number 000499999",
    "",
    "line number 000400000",
    "line number 000400001",
    "line number 000400002",
  ]);
});

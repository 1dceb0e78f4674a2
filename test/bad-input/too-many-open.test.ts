import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { execPath, platform } from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Container } from "../../src/container/container.ts";
import { temporaryFolder } from "../support/folders.ts";

const LEFT_MAX = 12;
const index = pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href;

/** Does one thing after the other with so few file descriptors left, and prints the errors. */
const program = (root: string, work: string): string => `
import fs from "node:fs";
import { Container } from ${JSON.stringify(index)};
const root = ${JSON.stringify(root)};
const taken = [];
const takeAll = () => { try { for (;;) taken.push(fs.openSync("/dev/null")); } catch {} };
for (let left = 0; left <= ${LEFT_MAX}; left++) {
  takeAll();
  for (let i = 0; i < left; i++) fs.closeSync(taken.pop());
  try {
    await using container = await Container.open(root);
    ${work}
  } catch (error) {
    fs.writeSync(1, JSON.stringify([left, error.code, error.details?.errno, error.message]) + "\\n");
  }
}
`;

// SQLite does not tell why it cannot open a file: who had too few file descriptors was sent to look at permissions.
for (const [what, work] of [
  ["has", 'await container.has("0".repeat(64));'],
  ["insertMany", 'for await (const _ of container.insertMany([Buffer.from("one" + left)], { to: "packed" }));'],
  ["backup", "await container.backup(root + left);"],
] as const) {
  test(`version 1: too few file descriptors are told as such by ${what}`, { skip: platform !== "linux" }, async () => {
    const root = join(temporaryFolder(), "container");
    await using container = await Container.create(root, { formatVersion: 1 });
    await Array.fromAsync(container.insertMany([Buffer.from("one")], { to: "packed" }));
    const command = `ulimit -n 64; exec "${execPath}" --input-type=module`;
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], {
      encoding: "utf8",
      input: program(root, work),
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
    const errors = stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as [number, string, string, string]);
    for (const [left, code, errno, message] of errors)
      assert.deepEqual([code, errno], ["IO_ERROR", "EMFILE"], `${left} left: ${message}`);
    assert.ok(errors.length >= 2 && errors.length < LEFT_MAX, stdout);
  });
}

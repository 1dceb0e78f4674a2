import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { execPath, platform } from "node:process";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Container } from "../../src/container/container.ts";
import { temporaryFolder } from "../support/folders.ts";

/** Descriptors that are left. */
const FEW = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const index = pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href;

/** Does one thing after the other with so few file descriptors left, and prints the errors. */
const program = (root: string, work: string, lefts: readonly number[]): string => `
import fs from "node:fs";
import { Container } from ${JSON.stringify(index)};
const root = ${JSON.stringify(root)};
const taken = [];
const takeAll = () => { try { for (;;) taken.push(fs.openSync("/dev/null")); } catch {} };
for (const left of ${JSON.stringify(lefts)}) {
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

/** What failed: with how many descriptors left, and the code, errno and message. */
function errorsOf(root: string, work: string, lefts: readonly number[]): [number, string, string, string][] {
  const command = `ulimit -n 64; exec "${execPath}" --input-type=module`;
  const { status, stdout, stderr } = spawnSync("sh", ["-c", command], {
    encoding: "utf8",
    input: program(root, work, lefts),
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

async function newContainer(): Promise<string> {
  const root = join(temporaryFolder(), "container");
  await using container = await Container.create(root, { formatVersion: 1 });
  await Array.fromAsync(container.insertMany([Buffer.from("one")], { to: "packed" }));
  return root;
}

// SQLite does not tell why it cannot open a file: who had too few file descriptors was sent to look at permissions.
for (const [what, work] of [
  ["has", 'await container.has("0".repeat(64));'],
  ["insertMany", 'for await (const _ of container.insertMany([Buffer.from("one" + left)], { to: "packed" }));'],
  ["backup", "await container.backup(root + left);"],
] as const) {
  test(`version 1: too few file descriptors are told as such by ${what}`, { skip: platform !== "linux" }, async () => {
    const root = await newContainer();
    const errors = errorsOf(root, work, FEW);
    for (const [left, code, errno, message] of errors)
      assert.deepEqual([code, errno], ["IO_ERROR", "EMFILE"], `${left} left: ${message}`);
    assert.ok(errors.length >= 2 && errors.length < FEW.length - 1, JSON.stringify(errors));
  });
}

test("version 1: where there are too few file descriptors for a thread, it is done without", {
  skip: platform !== "linux",
}, async () => {
  const root = await newContainer();
  const database = new DatabaseSync(join(root, "packs.idx"));
  // So large that what SQLite does with the whole file is done in a thread.
  database.exec(`WITH RECURSIVE ids (id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM ids WHERE id < 30000)
    INSERT INTO db_object SELECT id, printf('%064x', id), 0, 0, 0, 0, 0 FROM ids`);
  database.close();
  const work = "await container.backup(root + left); await container.clean({ vacuum: true });";
  assert.deepEqual(errorsOf(root, work, [8, 9, 10, 11, 12, 13, 14, 15, 16]), []);
});

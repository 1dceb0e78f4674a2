// rsdos takes no lock when it extends packs of version 1. Where it did so meanwhile, tsdos wrote over what it had appended, or cut that
// off when an insert failed; and what tsdos appended in between became a part of an object of rsdos.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";

const MIB = 1024 ** 2;
const THEIRS = Buffer.from("of another program");

/** Extends pack 0 as rsdos does: within a transaction, one object after the other. */
const EXTENDS = `
  const { parentPort, workerData: { root, contents } } = require("node:worker_threads");
  const { DatabaseSync } = require("node:sqlite");
  const { appendFileSync, statSync } = require("node:fs");
  const database = new DatabaseSync(root + "/packs.idx");
  const insert = database.prepare(
    'INSERT INTO db_object (hashkey, compressed, size, "offset", length, pack_id) VALUES (?, 0, ?, ?, ?, 0)');
  const pack = root + "/packs/0";
  let offset = statSync(pack).size;
  database.exec("BEGIN");
  for (const [key, content] of contents) {
    appendFileSync(pack, content);
    const end = statSync(pack).size;
    insert.run(key, content.length, offset, end - offset);
    offset = end;
    parentPort.postMessage("extended");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  }
  database.exec("COMMIT");
  database.close();
`;

test("who inserts into packs waits for another program that extends the pack without a lock", async () => {
  const { root, container } = await newContainer({ formatVersion: 1 });
  await container.insert(noise(100, 1), { to: "packed" });
  const theirs = [2, 3].map((seed) => noise(1000, seed));
  const contents = theirs.map((content) => [keyOf(content), content]);
  const worker = new Worker(EXTENDS, { eval: true, workerData: { root, contents } });
  const ended = new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
  await new Promise((resolve) => worker.once("message", resolve));
  const { key } = await container.insert(noise(1000, 4), { to: "packed" });
  await ended;
  const keys = [...theirs.map(keyOf), key];
  for await (const { key: each, bytes } of container.readMany(keys)) assert.equal(bytes && keyOf(bytes), each);
  assert.deepEqual((await container.validate()).problems, []);
  await container.close();
});

for (const [what, ending] of [
  ["goes on", undefined],
  ["fails", new Error("the source fails")],
] as const) {
  test(`an insert that ${what} leaves alone what another program has appended meanwhile`, async () => {
    const { root, container } = await newContainer({ formatVersion: 1 });
    const { key } = await container.insert(noise(100, 1), { to: "packed" });
    const pack = join(root, "packs/0");
    const sources = async function* (): AsyncGenerator<Uint8Array> {
      yield noise(3 * MIB, 2);
      while (readFileSync(pack).length < MIB) await sleep(1);
      appendFileSync(pack, THEIRS);
      if (ending !== undefined) throw ending;
      yield noise(3 * MIB, 3);
    };
    const inserting = Array.fromAsync(container.insertMany(sources(), { to: "packed", compress: "no" }));
    await assert.rejects(inserting, { code: "LOCKED" });
    assert.ok(readFileSync(pack).subarray(-THEIRS.length).equals(THEIRS));
    assert.equal(keyOf((await (await container.extract(key))?.bytes()) as Uint8Array), key);
    await container.insert(noise(1000, 4), { to: "packed" });
    assert.deepEqual((await container.validate()).problems, []);
    await container.close();
  });
}
